/** What XS has beyond the language, where the SDK has no types of its own. Elsewhere the argument has no effect. */
interface ObjectConstructor {
  /**
   * Freezes what the object holds too. In preloaded modules, what is not frozen is given RAM lest it change. To be
   * called as a method of `Object`.
   */
  freeze<T>(object: T, isDeep: boolean): Readonly<T>;
}
