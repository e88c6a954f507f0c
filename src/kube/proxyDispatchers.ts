/**
 * undici's dispatchers for a proxy. A module of its own, imported by name, so that it is loaded only by who needs it and the bundler sees which exports of a
 * CommonJS package are meant: `await import` of the package itself gives the bundle nothing but a default export.
 */
export { ProxyAgent, Socks5ProxyAgent } from 'undici';
