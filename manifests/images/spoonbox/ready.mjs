// The health check of a container: `node ready.mjs PORT|SOCKET PATH` ends with 0 where GET PATH is answered with 200, and
// with 1, after one line that says why, where it is not.
import { get } from 'node:http';

const answerWithinMs = 4_000;
const [where = '', path = '/'] = process.argv.slice(2);
const place = where.startsWith('/') ? { socketPath: where } : { host: '127.0.0.1', port: where };

const request = get({ ...place, path, timeout: answerWithinMs }, (response) => {
  response.pipe(process.stdout);
  process.exitCode = response.statusCode === 200 ? 0 : 1;
});
request.on('timeout', () => request.destroy(new Error(`no answer within ${answerWithinMs} ms`)));
request.on('error', (error) => {
  console.log(`${where}${path}: ${error.message}`);
  process.exitCode = 1;
});
