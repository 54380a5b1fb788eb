/** The clock of what is measured. */

/** Milliseconds of processor time that this process has taken, the compiler's and the collector's threads included. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
