export {
  type ActionContext,
  type ActionEvent,
  type ActionInput,
  type ActionLimits,
  actionMachine,
} from './action.ts';
export {
  type ClusterContext,
  type ClusterEvent,
  type ClusterHeartbeat,
  type ClusterInput,
  clusterMachine,
  type RecordInput,
} from './cluster.ts';
export type {
  CancelEvent,
  ClaimInput,
  ClaimOutput,
  DispatchInput,
  DispatchOutput,
  Effect,
  EntityEmitted,
  EntityHeartbeat,
  Failure,
  FenceInput,
  FenceOutput,
  PerformInput,
  PerformOutput,
  VerbEvent,
} from './effect.ts';
export { type HeartbeatContext, type HeartbeatEvent, heartbeatMachine, type ObserveInput } from './heartbeat.ts';
export { type InstanceContext, type InstanceEvent, type InstanceInput, instanceMachine } from './instance.ts';
export type { Limits, Operation } from './operation.ts';
export { type ServiceContext, type ServiceEvent, type ServiceInput, serviceMachine } from './service.ts';
