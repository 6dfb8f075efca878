export { type KernelExports, Kernels, kernels, kernelsInUse, useKernels } from './kernels.ts';
