/** What bundlers and runtimes that import WebAssembly as modules (workerd, Deno) give for `isthmus/kernels.wasm`: for `useKernels`. */
declare const module: WebAssembly.Module;
export default module;
