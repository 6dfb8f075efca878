export { analyze, subtract, synthesize } from './matrix';
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
