// The one module of undici that is used day by day. The package's index loads fetch, WebSocket, caches and mocks as well: 14 MB of memory and
// 0.2 s of start-up. undici's version is pinned in package.json.
declare module 'undici/lib/dispatcher/pool.js' {
  import { Pool } from 'undici';
  export default Pool;
}
