export { analyze, subtract, synthesize } from './matrix';
export { decodePredictive, encodePredictive } from './predictive';
export {
  begin,
  decodeGroups,
  decodeRest,
  decodeSerial,
  encodeGroups,
  encodeRest,
  encodeSerial,
  faultOf,
  where,
} from './rans';
