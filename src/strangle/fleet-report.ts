/** What the strangled routes of all processes have done, out of what these have published. */
import type { CallOptions } from '../client/index.js';
import { readOrders, type OrderClient } from './orders.js';
import { type StrangleReport, Tally } from './report.js';
import { strangleReports, type StrangleReported } from './topics.js';

/** The report of one route over all processes. */
export interface FleetReport extends StrangleReport {
  /** That have told of it. */
  readonly processes: number;
  /** What was ordered last: shares of what is declared. */
  readonly order: { readonly async: number; readonly mirror: number; readonly reason?: string };
}

/** Which reports to add up. */
export interface FleetReportQuery extends CallOptions {
  /** Only of this route. */
  readonly name?: string;
  /** Only what was published at or after it. Default: all that is kept. */
  readonly since?: Date;
}

/** Adds up what was published, by the names of routes. TOPIC_UNKNOWN where no app declares `strangleTopics`. */
export async function readReports(
  client: Pick<OrderClient, 'topics'>,
  { name, since, ...options }: FleetReportQuery = {},
): Promise<readonly FleetReport[]> {
  const orders = new Map((await readOrders(client, options)).map((order) => [order.name, order]));
  const found = new Map<string, { readonly tally: Tally; readonly processes: Set<string> }>();
  const from = since === undefined ? {} : { at: since.toISOString() };
  for await (const { event } of client.topics.events(strangleReports.name, { ...options, ...from })) {
    const part = event['data'] as StrangleReported;
    if (name !== undefined && part.name !== name) continue;
    let route = found.get(part.name);
    if (route === undefined) found.set(part.name, (route = { tally: new Tally(part.name), processes: new Set() }));
    route.tally.merge(part);
    route.processes.add(part.process);
  }
  return [...found].map(([route, { tally, processes }]) => {
    const { async = 1, mirror = 1, reason } = orders.get(route) ?? {};
    const order = { async, mirror, ...(reason === undefined ? {} : { reason }) };
    return { ...tally.report(), processes: processes.size, order };
  });
}
