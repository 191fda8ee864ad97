export type {
  Answer,
  AnyServiceKind,
  Batch,
  Call,
  ConfigFile,
  Doctor,
  DoctorWire,
  Driver,
  Failover,
  Neighbours,
  Permit,
  PermittedCall,
  RunOptions,
  ServiceDriver,
  ServiceInput,
  ServiceKind,
  ServiceStep,
  Shell,
  ShellResult,
  StepOf,
  Store,
  Succession,
  Switchover,
  SwitchoverStepOf,
  Want,
} from './contracts.ts';
export { defineServiceKind } from './contracts.ts';
export type { Action, ActionStatus, Attempt, Begun, ListedAction, Step } from './domain/action.ts';
export { isEnded, isLive } from './domain/action.ts';
export type { ApiCall, Bill, BillLine, Caller, Prices, Tally } from './domain/bill.ts';
export type { Budget, Limit } from './domain/budget.ts';
export type { ClusterView, KindTraits } from './domain/cluster.ts';
export { CODE_TEXTS, type Code, isRetryable, type KnownCode, OK, textOf } from './domain/codes.ts';
export { type Command, type Do, doText, INSTANCE_ACTIONS, SERVICE_ACTIONS, type Subject } from './domain/command.ts';
export type { Heartbeat, Problem, Reading } from './domain/heartbeat.ts';
export {
  type ActionId,
  asActionId,
  asInstant,
  asToken,
  clusterKey,
  type EntityKey,
  type Instant,
  type Ip,
  instanceKey,
  type Level,
  parseIp,
  serviceKey,
  type Token,
  wantedKey,
} from './domain/identity.ts';
export {
  INSTANCE_RUNGS,
  type InstanceFacts,
  type InstanceRung,
  type InstanceState,
  type InstanceVerb,
  type Power,
  type SshAnswer,
} from './domain/instance.ts';
export { createInventory, type Inventory, type InventoryOptions } from './domain/inventory.ts';
export type { Maintenance, MaintenanceNews, MaintenanceRequest, MaintenanceSubject } from './domain/maintenance.ts';
export { type Known, type Plan, plan } from './domain/plan.ts';
export { DEFAULT_POLICY, type Policy } from './domain/policy.ts';
export type { Fall, RecoveryState } from './domain/recovery.ts';
export type { Ladder } from './domain/row.ts';
export {
  type ClusterVerb,
  type Following,
  type Role,
  SERVICE_RUNGS,
  type Service,
  type ServiceFacts,
  type ServiceRung,
  type ServiceState,
  type ServiceVerb,
  type SwitchoverStep,
} from './domain/service.ts';
export { NOW, type Trigger, triggerText } from './domain/trigger.ts';
export type { Change, View } from './domain/view.ts';
export type { Artefact, BootstrapArtefact, BootstrapOptions, BootstrapRung, BootstrapUnit, Unit } from './drivers/bootstrap.ts';
export { type Aged, type Cached, type CachedOptions, cached } from './drivers/cached.ts';
export { type FenceOptions, fencedShell } from './drivers/fenced-shell.ts';
export { overShell } from './drivers/over-shell.ts';
export { type ProbedOptions, probed } from './drivers/probed.ts';
export { FleetError, isFleetError } from './errors.ts';
export type {
  ArmOptions,
  Beat,
  BillOptions,
  Fleet,
  FleetEvents,
  FleetOptions,
  GlobalHeartbeat,
  RecoverOptions,
  Recovery,
  Reply,
} from './face.ts';
export { createFleet } from './fleet.ts';
export type { Parked } from './outbox.ts';
