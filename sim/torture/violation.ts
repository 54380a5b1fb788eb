/** What the simulator finds: one rule that did not hold. */

export class Violation extends Error {
  /** The device it is about; -1: none alone. */
  readonly device: number;

  /**
   * @param device the device it is about; -1: none alone
   * @param rule what was broken, and how
   */
  constructor(device: number, rule: string) {
    super(rule);
    this.name = "Violation";
    this.device = device;
  }
}
