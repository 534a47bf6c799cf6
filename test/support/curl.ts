/** A program for machines without curl: the part of it that the tours use. To be written to a file `curl` last on the PATH. */
export const curlProgram = `#!/usr/bin/env node
const string = { type: 'string' };
const flag = { type: 'boolean' };
const options = {
  silent: { ...flag, short: 's' },
  'no-buffer': { ...flag, short: 'N' },
  header: { ...string, short: 'H', multiple: true },
  request: { ...string, short: 'X' },
  data: { ...string, short: 'd' },
  output: { ...string, short: 'o' },
  'dump-header': { ...string, short: 'D' },
  'write-out': { ...string, short: 'w' },
  'max-time': string,
};
const { values, positionals } = require('node:util').parseArgs({ options, allowPositionals: true });
const headers = Object.fromEntries((values.header ?? []).map((header) => header.split(/: (.*)/s).slice(0, 2)));
const signal = values['max-time'] && AbortSignal.timeout(values['max-time'] * 1000);
fetch(positionals[0], { method: values.request ?? 'GET', headers, body: values.data, signal })
  .then(async (response) => {
    if (values['write-out']) process.stderr.write(response.status + '\\n');
    if (values['dump-header']) for (const [name, value] of response.headers) console.log(name + ': ' + value);
    for await (const chunk of response.body ?? []) if (values.output === undefined) process.stdout.write(chunk);
  })
  .catch(() => process.exit(28));
`;
