/** A port of which only the given methods exist; the use of any other fails the test by its name. */
export function fakePort<Port extends object>(some: Partial<Port>): Port {
  // What the type promises and the test did not give is answered by the error below.
  return new Proxy(some, {
    get(target, name) {
      if (Reflect.has(target, name)) return Reflect.get(target, name);
      throw new Error(`${String(name)} was used, which this test does not expect`);
    },
  }) as Port;
}
