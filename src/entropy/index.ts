export { quantizeFrequencies } from './frequencies.ts';
export { Histogram } from './histogram.ts';
export { MAX_RAW_BITS, RansDecoder, RansEncoder } from './rans.ts';
export { MAX_SYMBOL, TableBank } from './tables.ts';
