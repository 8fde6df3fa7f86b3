// Lookups through c-ares: `PORT NAME...`, all at once.
const { Resolver } = require('node:dns').promises;
const [port, ...names] = process.argv.slice(2);
const resolver = new Resolver();
resolver.setServers([`127.0.0.1:${port}`]);
Promise.all(names.flatMap((name) => [resolver.resolve4(name), resolver.resolveTxt(name).catch((error) => error.code)]))
  .then((answers) => console.log(JSON.stringify(answers)));
