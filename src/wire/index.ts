/**
 * The seed's JSON, read and written: the only place with its field names.
 *
 * @packageDocumentation
 */
export { fromActions } from './actions.ts';
export { CONFIG_ACTIONS, fromCommand, toCommand } from './command.ts';
export { type DoctorTexts, doctorWire } from './doctor.ts';
export {
  type ActionRow,
  type ActionsBody,
  type ActionsDocument,
  type Bodies,
  type CommandBody,
  type CommandDocument,
  type ConsoleRow,
  type DocumentOf,
  type EventRow,
  type EventsBody,
  type EventsDocument,
  type HeartbeatBody,
  type HeartbeatDocument,
  type HostBody,
  type InstanceRow,
  type InstancesBody,
  type InstancesDocument,
  type Kind,
  type Named,
  type Question,
  type ReplyBody,
  type ReplyDocument,
  type ReplyInstanceRow,
  type ReplyServiceRow,
  type ReturnBody,
  type ServiceRow,
  type ServicesBody,
  type ServicesDocument,
  type WhenBody,
  WIRE_VERSION,
  type WireDocument,
} from './document.ts';
export { fromChanges } from './events.ts';
export { fromViews, type HeartbeatMeta, type HeartbeatOptions, toHeartbeat } from './heartbeat.ts';
export { instanceState } from './instance.ts';
export { DEFAULT_LIMITS, type Limits } from './limits.ts';
export { type ReadOptions, read } from './read.ts';
export { fromReply, type ReplyParts } from './reply.ts';
export { serviceState } from './service.ts';
export { type StepsOptions, toSteps } from './steps.ts';
export type { KnownService } from './trigger.ts';
export { type EventType, INSTANCE_WORDS, type InstanceWord } from './words.ts';
export { write } from './write.ts';
