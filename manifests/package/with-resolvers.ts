/** `Promise.withResolvers` for Node 20, which has none: the build puts it in the place of each use. */
export function withResolvers<Value>(): {
  promise: Promise<Value>;
  resolve: (value: Value | PromiseLike<Value>) => void;
  reject: (reason: unknown) => void;
} {
  let resolve: (value: Value | PromiseLike<Value>) => void = () => {};
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<Value>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
