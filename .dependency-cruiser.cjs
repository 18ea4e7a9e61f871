// The arrows of ARCHITECTURE.md as rules. Anything not listed for a unit is an error.
const units = {
  core: [],
  bgp: ['core'],
  'bgp/wire': ['core', 'bgp'],
  'bgp/session': ['core', 'bgp', 'bgp/wire'],
  rib: ['core', 'bgp'],
  engine: ['core', 'bgp', 'bgp/wire', 'bgp/session', 'rib'],
  kernel: ['core'],
  kube: ['core'],
  'kube/client': ['core', 'kube'],
  fib: ['core', 'bgp', 'rib', 'kernel'],
  routing: ['core', 'bgp', 'bgp/wire', 'kube'],
  proxy: ['core', 'kube', 'kernel'],
  policy: ['core', 'kube', 'kernel'],
  api: ['core', 'bgp', 'rib', 'fib', 'engine', 'kube', 'routing'],
  cli: ['core', 'api', 'app'],
};
/** A file belongs to the deepest unit that names its folder. */
const nested = unit => Object.keys(units).filter(u => u.startsWith(unit + '/'));
const inside = unit => ({
  path: `^src/${unit}/`,
  ...(nested(unit).length ? { pathNot: nested(unit).map(u => `^src/${u}/`) } : {}),
});
const rules = Object.entries(units).map(([unit, may]) => ({
  name: `arrows-of-${unit.replace('/', '-')}`,
  comment: `src/${unit} may import only: ${may.join(', ') || 'nothing'} (ARCHITECTURE.md)`,
  severity: 'error',
  from: inside(unit),
  to: {
    path: '^src/',
    pathNot: [unit, ...may].map(u => {
      const below = nested(u).map(n => n.slice(u.length + 1).split('/')[0]);
      return below.length ? `^src/${u}/(?!(${below.join('|')})/)` : `^src/${u}/`;
    }),
  },
}));

module.exports = {
  forbidden: [
    ...rules,
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'rxjs-at-the-joints-only',
      comment: 'RxJS carries change sets between units: only app and kube/client may use it',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(app|kube/client)/' },
      to: { path: 'node_modules/rxjs' },
    },
    {
      name: 'one-door-to-the-api-server',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/kube/client/' },
      to: { path: 'node_modules/@kubernetes/client-node' },
    },
    {
      name: 'one-door-to-libc',
      comment: 'only kernel calls libc through koffi',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/kernel/' },
      to: { path: 'node_modules/koffi' },
    },
    {
      name: 'src-stands-alone',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|interop|lab|bench|scripts)/' },
    },
    { name: 'nothing-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
