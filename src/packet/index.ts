export { FRAME_BYTES, type Frame, identity, openPacket, PACKET_VERSION, packetBody, sealPacket } from './packet.ts';
