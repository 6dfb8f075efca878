import type { Codec } from './codec/index.ts';
import { type Device, openDevice } from './device.ts';
import { type Edge, openEdge } from './edge.ts';
import { cutNetwork, type Network, type TaskOf } from './network.ts';
import type { OpenSession } from './runtime/index.ts';
import type { Task, TaskName } from './tasks/index.ts';

type AskOf<Name extends TaskName> = Parameters<TaskOf[Name]['answer']>[2][number][number];
type AnswerOf<Name extends TaskName> = Awaited<ReturnType<TaskOf[Name]['answer']>>[number][number];

/**
 * Cuts a network where `codec` belongs and opens both halves in this process, as for trying a codec out; in use the two
 * stand on two machines. Throws `CUT_…` where the codec is for another network, and what opening sessions throws.
 */
export async function openHalves<Name extends TaskName>(
  { graph, input, task }: Network<Name>,
  codec: Codec,
  open?: OpenSession,
): Promise<{ device: Device; edge: Edge<AskOf<Name>, AnswerOf<Name>> }> {
  const cut = codec.features.map(({ name }) => name);
  const { head, tail } = cutNetwork(graph, cut, input.name);
  const device = await openDevice({ input, head, codec, open });
  const ofName = task as Task<unknown, unknown, unknown> as Task<AskOf<Name>, AnswerOf<Name>, unknown>;
  const edge = await openEdge({ tail, codec, task: ofName, open }).catch(async (thrown) => {
    await device.release();
    throw thrown;
  });
  return { device, edge };
}
