import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FleetOptions } from 'fleetbeat';
import { createCloud, preparedDriver } from './cloud.ts';
import { type Figure, figure, type Goal } from './figure.ts';
import type { Library } from './library.ts';
import { interleaved, type Rounds, type Side } from './measure.ts';
import { createScene } from './scene.ts';
import type { Selection } from './selection.ts';

export interface DoctorScale {
  readonly size: number;
  readonly rounds: Rounds;
}

const CHANGED_PERCENT = 1;
/** As much as two medians of the same may be apart. */
const NO_SLOWER: Goal = { ratio: 1.2 };

/** P5.doctor: what a beat costs with a doctor who is told of it, and whether it is more with one who never answers or always refuses. */
export async function* doctors(
  library: Library,
  selection: Selection,
  { size, rounds }: DoctorScale = { size: 10_000, rounds: { warmUp: 5, timed: 21 } },
): AsyncGenerator<Figure> {
  if (!selection.covers('P5.doctor')) return;
  const hanging = await listening(createServer(() => {}));
  const answering = await listening(createServer((_, response) => response.writeHead(204).end()));
  const failing = await listening(createServer((_, response) => response.writeHead(503).end()));
  const doctorAt = (server: Server) =>
    library.webhookDoctor({ name: 'doctor', url: urlOf(server), wire: library.doctorWire({ cloud: 'bench' }) });
  const sides = {
    none: sideOf(library, size, []),
    answers: sideOf(library, size, [doctorAt(answering)]),
    hangs: sideOf(library, size, [doctorAt(hanging)]),
    fails: sideOf(library, size, [doctorAt(failing)]),
  };
  const took = await interleaved(sides, rounds);
  const beat = `beat over ${size}, ${CHANGED_PERCENT} % changed, with a webhook that`;
  yield figure({ id: 'P5.doctor', name: `${beat} answers; without a doctor`, ours: took.answers, peer: took.none, unit: 'ms' });
  for (const id of ['hangs', 'fails'] as const)
    yield figure({
      id: `P5.doctor.${id}`,
      name: `${beat} ${id}; with one that answers`,
      ours: took[id],
      peer: took.answers,
      unit: 'ms',
      goal: NO_SLOWER,
    });
  for (const { stop } of Object.values(sides)) await stop();
  for (const server of [answering, hanging, failing]) {
    server.close();
    server.closeAllConnections();
  }
}

function sideOf(library: Library, size: number, told: FleetOptions['doctors']): Side & { stop(): Promise<void> } {
  const cloud = createCloud(size);
  const driver = preparedDriver();
  const scene = createScene(library, driver, { doctors: told ?? [] });
  let round = 0;
  return {
    prepare() {
      cloud.change(CHANGED_PERCENT, round++);
      driver.hand(cloud.reading(scene.passes()));
      return scene.fleet.beat;
    },
    settle: scene.quiet,
    stop: scene.fleet.stop,
  };
}

async function listening(server: Server): Promise<Server> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const urlOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
