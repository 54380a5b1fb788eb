/** What 3.1.1 has constructed becomes what MQTT 5 has in its place. */

/** Gives `object` the methods of `type`. It lacks what the constructor of `type` would have set. */
export function become<T extends object>(object: object, type: { prototype: T }): T {
  return Object.setPrototypeOf(object, type.prototype) as T;
}
