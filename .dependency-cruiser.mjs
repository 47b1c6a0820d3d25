// The walls between the rooms of the house (docs/architecture.md). Each rule says why it is there, and
// test/unit/house/walls.test.ts builds a house that breaks each of them.
const SRC = '^orchestrator/src/';
const ROOT = `${SRC}(main|boot|greeting|app\\.module)\\.ts$|${SRC}cli/`;
const FEATURES = 'responses|conversations|containers|files|uploads|models|webhooks|admin';
/** The rooms of responses/, and the words that lie at its door. */
const RESPONSES = `${SRC}responses/`;
const RESPONSE_WORDS = `${RESPONSES}[^/]+\\.(schema|types|lookup)\\.ts$`;
const ADAPTERS = `${SRC}(sandboxes/docker|storage/(fs|s3)|llm/(chat-completions|python))/`;

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      comment:
        'A cycle means two rooms are one room. Types alone may point at each other: they are gone at run time.',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'only-what-is-there',
      severity: 'error',
      comment: 'An import that resolves to nothing slips through every other rule, and breaks at run time.',
      // Programs of test/sdk run in a folder of their own, with packages of their own.
      from: { pathNot: '^test/sdk/' },
      to: { couldNotResolve: true, pathNot: 'database/generated/' },
    },
    {
      name: 'node-package-is-an-island',
      severity: 'error',
      comment: 'What n8n users install reaches the server over HTTP only.',
      from: { path: '^(nodes|credentials)/' },
      to: { path: '^(orchestrator|sandbox|prisma|test|bench)/' },
    },
    {
      name: 'server-knows-no-client',
      severity: 'error',
      comment: 'The server does not know its clients or its tests.',
      from: { path: '^orchestrator/' },
      to: { path: '^(nodes|credentials|test|bench)/' },
    },
    {
      name: 'features-meet-at-the-service',
      severity: 'error',
      comment:
        'Another feature is reached through its service or module. Three kinds of file may be shared as well, since ' +
        'none of them does anything: *.schema.ts and *.types.ts are the words of the wire (a tool of a response names ' +
        'the same memory sizes as a container), and *.lookup.ts is a port that one feature declares and another implements.',
      from: { path: `${SRC}(${FEATURES})/` },
      to: {
        path: `${SRC}(${FEATURES})/`,
        pathNot: [`${SRC}$1/`, '\\.(service|module|schema|types|lookup)\\.ts$'],
      },
    },
    {
      name: 'schemas-are-words',
      severity: 'error',
      comment:
        '*.schema.ts, *.types.ts and *.lookup.ts cross features because they do nothing, so they may import nothing that ' +
        'does something. Types are let through: they are gone at run time.',
      from: { path: `${SRC}(${FEATURES})/.*\\.(schema|types|lookup)\\.ts$` },
      to: {
        path: SRC,
        pathNot: `${SRC}(common|config)/|\\.(schema|types|lookup|state)\\.ts$`,
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'responses-ground-floor',
      severity: 'error',
      comment:
        'What a response leaves behind (record/) and the container it works in (container/) are there for whoever ' +
        'makes responses, so they know nobody who does.',
      from: { path: `${RESPONSES}(record|container)/` },
      to: { path: RESPONSES, pathNot: [`${RESPONSES}$1/`, RESPONSE_WORDS] },
    },
    {
      name: 'responses-first-floor',
      severity: 'error',
      comment:
        'What is put before the model (context/) is the same for a run, a count of tokens and a compaction, so it ' +
        'stands on records and the container alone.',
      from: { path: `${RESPONSES}context/` },
      to: { path: RESPONSES, pathNot: [`${RESPONSES}(record|container|context)/`, RESPONSE_WORDS] },
    },
    {
      name: 'responses-second-floor',
      severity: 'error',
      comment:
        'A run (run/) goes the same way whether a client waits for it or not: it knows neither the background nor ' +
        'the front room. The presenter alone is shared, since a model is shown figures as a client is.',
      from: { path: `${RESPONSES}run/` },
      to: {
        path: RESPONSES,
        pathNot: [
          `${RESPONSES}(record|container|context|run)/`,
          `${RESPONSES}response\\.presenter\\.ts$`,
          RESPONSE_WORDS,
        ],
      },
    },
    {
      name: 'responses-top-floor',
      severity: 'error',
      comment:
        'Background runs and compaction are two ways to use what is below. They know neither each other nor the ' +
        'front room, which chooses between them.',
      from: { path: `${RESPONSES}(background|compaction)/` },
      to: {
        path: RESPONSES,
        pathNot: [`${RESPONSES}($1|record|container|context|run)/`, RESPONSE_WORDS],
      },
    },
    {
      name: 'drivers-know-no-feature',
      severity: 'error',
      comment: 'Adapters implement ports; they never call back.',
      from: {
        path: `${SRC}(sandboxes|llm|storage|database|queues|outbox|auth|observability|http|config|common)/`,
      },
      to: { path: `${SRC}(${FEATURES})/` },
    },
    {
      name: 'adapters-are-chosen-at-the-root',
      severity: 'error',
      comment: 'Everybody else knows the port, so that the adapter behind it can be replaced in one line.',
      from: {
        path: SRC,
        pathNot: `${ROOT}|\\.module\\.ts$|${ADAPTERS}`,
      },
      to: { path: ADAPTERS },
    },
    {
      name: 'nobody-imports-the-root',
      severity: 'error',
      comment: 'main, boot, the composition root and the command line tools stand on top of the house.',
      from: { path: SRC, pathNot: ROOT },
      to: { path: ROOT },
    },
    {
      name: 'common-and-config-are-leaves',
      severity: 'error',
      comment: 'Everyone stands on these two; they stand on nothing of ours.',
      from: { path: `${SRC}(common|config)/` },
      to: { path: `${SRC}(?!common/|config/)` },
    },
    {
      name: 'controllers-are-thin',
      severity: 'error',
      comment: 'HTTP in, service call, HTTP out.',
      from: { path: `${SRC}(${FEATURES})/.*\\.controller\\.ts$` },
      to: { path: '\\.repository\\.ts$|/database/|\\.driver\\.ts$' },
    },
    {
      name: 'state-tables-are-pure',
      severity: 'error',
      comment: '*.state.ts is a table and pure functions: no clock, no database, no framework.',
      from: { path: '\\.state\\.ts$' },
      to: { pathNot: [`${SRC}common/`, '\\.(state|types)\\.ts$'] },
    },
    {
      name: 'prisma-behind-repositories',
      severity: 'error',
      comment: 'Only repositories speak SQL; a service that needs a row asks one.',
      from: { path: SRC, pathNot: `${SRC}database/|\\.repository\\.ts$` },
      to: { path: '@prisma/client|/database/(generated/|prisma\\.service\\.ts)' },
    },
    {
      name: 'dockerode-behind-docker-driver',
      severity: 'error',
      comment: 'One room holds the keys to the host.',
      from: { path: SRC, pathNot: `${SRC}sandboxes/docker/` },
      to: { path: 'node_modules/(dockerode|docker-modem|@types/dockerode)/|^dockerode' },
    },
    {
      name: 'bullmq-behind-queues',
      severity: 'error',
      comment: 'Delivery is a detail: a processor takes a job and calls its service.',
      from: { path: SRC, pathNot: `${SRC}queues/|\\.processor\\.ts$` },
      to: { path: 'node_modules/(bullmq|@nestjs/bullmq)/|^(bullmq|@nestjs/bullmq)' },
    },
    {
      name: 'openai-client-behind-its-adapter',
      severity: 'error',
      comment:
        'The rest of the server speaks the wire format itself; the client of other servers is one adapter.',
      from: { path: SRC, pathNot: `${SRC}llm/chat-completions/` },
      to: { path: 'node_modules/openai/|^openai' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'orchestrator/tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default'],
    },
  },
};
