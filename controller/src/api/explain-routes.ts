import { NoQuery } from '#shared/api-schemas.ts';
import { MachineView, ReasonList } from '#shared/operator-schemas.ts';
import { leaseEndTexts, reasonTexts } from '#shared/reasons.ts';
import { boxMachine } from '../box/machine.ts';
import { machineView } from '../box/machine-view.ts';
import type { Api } from './api.ts';

/** What never changes while the process runs: the machine of boxes, and what its reasons mean. */
export function addExplainRoutes({ app }: Pick<Api, 'app'>): void {
  const machine = machineView(boxMachine);
  const items = Object.entries({ ...reasonTexts, ...leaseEndTexts }).map(([reason, text]) => ({ reason, ...text }));

  app.get(
    '/v1/machine',
    {
      config: { role: 'viewer' },
      schema: {
        summary:
          'The states of a box, and the rules that lead from one to the next, in the order in which they are asked',
        querystring: NoQuery,
        response: { 200: MachineView },
      },
    },
    async () => machine,
  );

  app.get(
    '/v1/reasons',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'What each reason of a condition, or of the end of a lease, means, and what to do',
        querystring: NoQuery,
        response: { 200: ReasonList },
      },
    },
    async () => ({ items }),
  );
}
