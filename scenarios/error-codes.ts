/** Every error and warning code of the product: what it means, how it comes about, what to do. `kvcast help CODE` prints an entry. */

/** One entry of the registry. Sentences without final stop. */
export interface CodeEntry {
  readonly meaning: string;
  readonly cause: string;
  readonly remedy: string;
}

const entry = (meaning: string, cause: string, remedy: string): CodeEntry => ({ meaning, cause, remedy });

/** Codes of files, scalars and fields. */
const SCENARIO: Record<string, CodeEntry> = {
  E_YAML: entry(
    'the file is not valid YAML 1.2',
    'a syntax error, a custom tag, more than 100 aliases or more than 1 MiB',
    'Fix the line named; indent with spaces',
  ),
  E_DUPLICATE_KEY: entry(
    'a key stands twice in one map',
    'a copied line; YAML readers would silently keep one of the two',
    'Remove one of them',
  ),
  E_DUPLICATE_ITEM: entry('a list that is a set holds an item twice', 'a copied item', 'Remove one of them'),
  E_UNKNOWN_KEY: entry(
    'a key that the format does not have',
    'a misspelling, a wrong nesting, or the flag name of an engine',
    'Follow the hint; all fields: kvcast schema scenario',
  ),
  E_REQUIRED: entry(
    'a value that must be given is missing',
    'the field has no default, or another field makes it necessary',
    'Add the field; what it means: kvcast schema --field PATH',
  ),
  E_TYPE: entry('a value has the wrong type', 'for example text where a number is expected', 'Write a value of the type named'),
  E_ENUM: entry('a word is not one of the words allowed', 'a misspelling or a word of another tool', 'Use one of the words listed'),
  E_RANGE: entry(
    'a number is outside the range its field allows',
    'the range of the field, or another field that bounds it',
    "The field's range: kvcast schema --field PATH",
  ),
  E_PATTERN: entry(
    'text does not have the form its field needs',
    'for example upper case in a name, or an unknown unit',
    'Write it in the form named',
  ),
  E_UNIT_MISSING: entry(
    'a quantity has no unit',
    'a bare number where 300 could mean seconds or milliseconds',
    'Add the unit: 300s, 80GB, 50GB/s, 48/h',
  ),
  E_SIZE_UNIT: entry(
    'the unit of a size is ambiguous or wrong',
    '80G, 80gb and 80Gb can mean bytes or bits, 10^9 or 2^30',
    'Write kB, MB, GB, TB (10^3n) or KiB, MiB, GiB, TiB (2^10n)',
  ),
  E_DURATION_PRECISION: entry('a duration is not a whole number of microseconds', 'too many decimals', 'Round to 1us'),
  E_DURATION_ORDER: entry(
    'the units of a duration are out of order or repeated',
    'for example 30m1h',
    'Largest unit first, each once: 1h30m',
  ),
  E_UNSUPPORTED: entry(
    'a legal value that this version does not model',
    'the format is ahead of the program',
    'Follow the hint; the value is never ignored',
  ),
  E_FILE: entry(
    'a file cannot be read',
    'it does not exist, is a directory, or access is denied',
    'Check the path; paths in files are relative to the file',
  ),
  E_EXTENDS_CYCLE: entry(
    'scenario files extend each other in a circle',
    'a file reaches itself through extends',
    'Remove one of the links named',
  ),
  E_EXTENDS_DEPTH: entry('extends is nested too deeply', 'more than 8 levels', 'Flatten the chain'),
  E_REMOVE_UNKNOWN: entry(
    '$remove names an item that is not there',
    'a misspelling, or the item comes from a file merged later',
    'Use the name of an item below this file',
  ),
  E_PRESET_VERSION: entry(
    'a preset is named without its version',
    'presets are pinned so that results do not change by themselves',
    'Write name@version; the hint names the newest',
  ),
  E_PRESET: entry('there is no such preset', 'a misspelling or a version that was never released', 'List them: kvcast presets KIND'),
  E_QUEUE: entry(
    'a profile of the waiting queue cannot work',
    'a class without bucket, a family without class for some prompt, or a quantum below 1',
    'The message names the class; see control/queue/queue-profile.ts for the fields',
  ),
  E_PATH_AMBIGUOUS: entry('a shortened path fits several fields', 'the suffix of --set or --sweep is too short', 'Write more of the path'),
  E_ARM_DUPLICATE: entry(
    'two arms have the same name',
    'the matrix holds one preset twice without names, or a name was copied',
    'Name the entries',
  ),
  E_NAME_DUPLICATE: entry('two items of a list have the same name', 'pools and objectives are addressed by name', 'Rename one'),
  E_BASELINE_UNKNOWN: entry('baseline is not the name of an arm', 'a misspelling, or the arms changed', 'Use one of the arms listed'),
  E_EXCLUSIVE: entry(
    'two fields are given of which only one can hold',
    'for example workload.trace and workload.synth, after an override of one of them',
    'Remove one of them',
  ),
  E_PAIR_MISMATCH: entry(
    'an arm changes the workload or the run',
    'arms replay the identical workload, else the difference would not be paired',
    'Use sweep for workloads, gate for versions',
  ),
  E_MATRIX_AND_ARMS: entry(
    'matrix and arms are both given',
    'matrix is a shorthand for arms; often one of them is inherited',
    'Write null for the one you do not want',
  ),
  E_SLO_METRIC: entry('an expression names an unknown metric', 'a misspelling', 'Use a name of the registry: kvcast help metrics'),
  E_EXPRESSION: entry(
    'a metric or threshold expression does not parse',
    'the grammar is metric{tag:value}.agg op bound',
    'Write for example "turn.ttft.p(95) < 3s"',
  ),
  E_THRESHOLD_DIRECTION: entry(
    'a relative bound points the wrong way',
    'a lower-is-better metric accepts only < and <= against a baseline, and the reverse',
    'Turn the operator around',
  ),
  E_SWEEP_AXIS: entry(
    'a sweep axis has no usable values',
    'values and range are both missing or both given, or the progression is empty',
    'Write values, a range, or path=from..to:step',
  ),
  E_PLAN_SLO: entry(
    'a plan has nothing to meet, or names an objective that it cannot judge',
    'plan judges objectives of scope run and level error, over a window with an end',
    'Add an SLO of scope run, for example turn.ttft.p(95) < 3s',
  ),
  E_PLAN_SIZE: entry('plan.size.min is above plan.size.max', 'the range of sizes is empty', 'Raise max or lower min'),
  E_SWEEP_POINTS: entry(
    'a sweep has more points than allowed',
    'the product of the axes exceeds sweep.maxPoints',
    'Raise sweep.maxPoints or drop values',
  ),
  E_SWEEP_ZIP: entry(
    'axes combined by zip differ in length',
    'zip walks all axes side by side',
    'Make them equally long or use combine: grid',
  ),
  E_CONTEXT_EXCEEDED: entry(
    'a context is longer than the model or the fleet accepts',
    'fleet.contextLimit above the limit of the model preset, or an overlong session under overlong: fail',
    'Lower the limit, or use overlong: exclude or truncate',
  ),
};

/** Codes of hardware, policies and the run. */
const RUN: Record<string, CodeEntry> = {
  E_KV_TOO_SMALL: entry(
    'the KV cache cannot hold one maximal request',
    'model, GPU memory and context limit do not fit',
    'Lower fleet.contextLimit or raise memoryUtilization or tensorParallel',
  ),
  E_MODEL_TOO_LARGE: entry(
    'the model does not fit into GPU memory',
    'weights and overhead exceed the usable memory of a GPU',
    'Use more GPUs per worker, smaller weights, or a larger GPU',
  ),
  E_CELL_MISSING: entry(
    'there is no timing cell for this combination',
    'step times are measured per GPU, model, parallelism and dtype; nothing is extrapolated silently',
    'Use one of the nearest cells listed',
  ),
  E_CELL_FILE: entry(
    'a file of timing cells is damaged',
    'wrong lengths, values that are not finite, or duplicate ids',
    'Restore the shipped file',
  ),
  E_FEATURE: entry(
    'a router rule names an unknown feature',
    'a misspelling in a policy document',
    'Use a feature of the router specification',
  ),
  E_POLICY: entry('a policy document is not valid', 'an unknown key, or a parameter that nothing reads', 'Fix the document'),
  E_HINT: entry(
    'a hint of a request is not valid',
    'a field of nvext.agent_hints or cache_control has the wrong type or range',
    'Follow the field rules of the API',
  ),
  E_PLUGIN_LOAD: entry(
    'a plug-in cannot be loaded',
    'the module does not export what the port needs',
    'Export {kind, name, version, api: 1, params, create}',
  ),
  E_PLUGIN_IMPURE: entry('a plug-in used the clock, randomness or I/O', 'decisions must be repeatable', 'Use ports.clock and ports.rng'),
  E_OUTPUT: entry('the result cannot be written', 'a full disk, or a missing or read-only --out', 'Choose another --out'),
  E_MEMORY: entry(
    'the run would need more memory than allowed',
    'many threads or much recorded detail',
    'Lower --jobs or drop requests from run.record',
  ),
  E_STUCK: entry(
    'the simulated engine makes no progress',
    'requests hold blocks that others need, as real engines can',
    'Follow the diagnosis: a retention budget or a watermark',
  ),
  E_NONDETERMINISM: entry(
    'two runs of the same thing differ',
    'a bug, or a plug-in that is not pure',
    'Report it with the command printed',
  ),
  E_EXPLAIN_PLAN: entry(
    'a result cannot be explained because its plan is not beside it',
    'result.json was moved away from its directory, or another command or an older kvcast wrote it',
    'Make the result again with kvcast run or compare and pass its directory',
  ),
  E_EXPLAIN_CHANGED: entry(
    'a stored result is not what this kvcast makes of its plan',
    'another version of kvcast, another trace file, or an edited result; explain repeats the run and compares run hashes',
    'Make the result again with this version, or explain it with the version that made it',
  ),
  E_EXPLAIN_SWAP: entry(
    'two arms cannot be mixed part by part',
    'they are the same, differ in more than four parts, or ran on different workloads',
    'Compare arms of one scenario that differ in one to four of router, retention, admission, engine, tiers, workers, network, faults',
  ),
  E_USAGE: entry('the command line is not understood', 'an unknown option or a missing argument', 'kvcast help COMMAND'),
  E_LOG: entry('a decision log is damaged', 'a truncated or edited line', 'Record it again'),
  E_RECORDING: entry(
    'a conformance recording cannot be read',
    'a truncated download or an edited line',
    'Fetch the file again; formats: the README beside the shipped recordings',
  ),
  E_CODE_UNKNOWN: entry('kvcast help was asked for an unknown code', 'a misspelling', 'Follow the hint'),
  E_LISTEN: entry('the gateway cannot listen', 'the port is in use or not allowed', 'Choose another port, or 0 for any free one'),
  E_REDIS: entry('the connection to Redis was lost', 'the server is down or unreachable', 'Resume when it is back'),
  E_RESUME: entry('the stored run belongs to another scenario', 'a field changed since', 'Undo the change or choose a new --out'),
  E_GATE_INPUTS: entry(
    'the baseline was made with other inputs',
    'trace, fleet, model or settings changed',
    'Update the baseline or use --allow-input-change',
  ),
  E_GATE_ARMS: entry('a gate needs exactly one arm', 'the scenario has several', 'Pick one with --arm'),
  E_BASELINE: entry(
    'a baseline file is damaged or was edited',
    'it is no JSON, or does not fit the schema: kvcast schema baseline',
    'Make it again with kvcast gate SCENARIO --update',
  ),
  E_BASELINE_REFUSED: entry(
    'a run makes no baseline',
    'it was interrupted, hit a limit or was saturated, so that its values mean little',
    'Mend the scenario, or add --force',
  ),
  E_BASELINE_SIZE: entry(
    'a baseline would be larger than 200 KB',
    'too many replications or metrics to be reviewed',
    'Use fewer replications or fewer metrics',
  ),
  E_INIT_EXISTS: entry('kvcast init would overwrite a file', 'the folder has one of that name', 'Choose another folder, or add --force'),
  E_GIT: entry(
    'a git revision cannot be read',
    'the name is unknown here, the clone is shallow, or git is not installed',
    'Fetch the revision, or name another: git:main, git:HEAD~1',
  ),
};

/** Codes of traces. Source: trace specification 1.4, 2.2, 3.2, 3.3. */
const TRACE: Record<string, CodeEntry> = {
  E_TRACE_HEADER: entry(
    'the header of a trace is missing or not valid',
    'not a kvcast trace, or fields that contradict each other',
    'Convert the file again, or name its --format',
  ),
  E_TRACE_VERSION: entry(
    'the trace has an unknown major version',
    'it was written by a newer program',
    'Use the version of kvcast that can read it',
  ),
  E_TRACE_FORMAT: entry('the format of a trace cannot be told', 'the first rows fit no format, or two of them', 'Pass --format'),
  E_TRACE_FILE: entry('a trace cannot be read', 'it does not exist or access is denied', 'Check the path'),
  E_TRACE_SYMLINK: entry(
    'a trace directory holds a symbolic link',
    'links could lead out of the directory or in circles',
    'Name the real directory',
  ),
  E_TRACE_GZIP: entry('a compressed trace is damaged', 'a truncated download', 'Fetch it again; the byte offset is printed'),
  E_TRACE_JSON: entry(
    'a line of a trace is not valid JSON',
    'truncation, or a line of another format',
    'Fix or remove the line; --skip-bad N tolerates N bad sessions',
  ),
  E_TRACE_LINE_TOO_LONG: entry('a line of a trace exceeds 128 MiB', 'a file that is one large JSON document', 'Write one session per line'),
  E_TRACE_SESSION: entry('a session is not valid', 'a missing or repeated id, or no agents', 'Fix the session named'),
  E_TRACE_PARENT: entry(
    'the parent of an agent is not valid',
    'a root with a parent, or a parent that comes later',
    'Order agents parents first',
  ),
  E_TRACE_EDGE: entry('a spawn or join points nowhere', 'an index outside the parent, or a join before its spawn', 'Fix the edge named'),
  E_TRACE_ORPHAN_AGENT: entry(
    'a sub-agent stands before the first request of its session',
    'a recording that begins too late',
    'Drop the session',
  ),
  E_TRACE_BLOCK_COUNT: entry(
    'the number of block ids does not fit the prompt',
    'a wrong block size, or ids of another tokeniser',
    'Check block_size',
  ),
  E_TRACE_BLOCK_SIZE: entry("the engine's block size does not fit the trace", 'neither divides the other', 'Use one of the sizes listed'),
  E_TRACE_RUN: entry('a run of block ids is not valid', 'first above last, or an id twice in a prompt', 'Fix the run named'),
  E_TRACE_ID_RANGE: entry('a block id is outside 0..2^53-1', 'hashes of 64 bits', 'Renumber the ids'),
  E_TRACE_NOT_CHAINED: entry(
    'block ids are not prefix hashes',
    'one id with different predecessors in more than 0.1 % of the runs',
    'The trace cannot drive a prefix cache',
  ),
  E_TRACE_TIME: entry('a time of a trace is not valid', 'negative, not finite, or out of order', 'Fix the time named'),
  E_TRACE_VALUE: entry('a value of a trace has the wrong type or range', 'for example negative tokens', 'Fix the value named'),
  E_TRACE_BREAK: entry(
    'a recorded prefix break contradicts the ids',
    'kept tokens that differ from what two prompts share',
    'Convert the trace again',
  ),
  E_TRACE_NO_ARRIVALS: entry(
    'the sessions of a trace have no arrival times',
    'session-local recordings',
    'Use arrivals.mode open or closed',
  ),
  E_TRACE_PROBLEMS: entry('a trace has more problems than are shown', 'usually one cause many times', 'Fix the first ones'),
  W_TRACE_CHAIN: entry(
    'some block ids have another position or predecessor than before',
    'few hash collisions or edited prompts',
    'Harmless below 0.1 %',
  ),
  W_TRACE_EDGE_ADDED: entry(
    'requests that depend on nothing start right after their play does',
    'a play that names no edge for them',
    'Nothing to do',
  ),
  W_TRACE_EDGE_APPROXIMATED: entry(
    'a dependency between agents was read as a nearby one',
    'the source allows edges that a session tree cannot hold',
    'Start times may differ slightly',
  ),
  W_TRACE_EDGE_DROPPED: entry(
    'a dependency between agents was left out',
    'the source allows edges that a session tree cannot hold',
    'Start times may differ',
  ),
  W_TRACE_EMPTY_AGENT: entry('a sub-agent without requests was left out', 'an agent that failed at once', 'Nothing to do'),
  W_TRACE_IGNORED_FIELD: entry('a known field has no effect here', 'the simulation does not use it', 'Nothing to do'),
  W_TRACE_IGNORED_FILE: entry('files of a directory were left out', 'they are not *.json or *.jsonl', 'Nothing to do'),
  W_TRACE_NO_DELAY: entry(
    'requests of a session carry no delays',
    'the source records arrival times only',
    'Pauses come from the time stamps',
  ),
  W_TRACE_NO_PAUSE: entry('requests carry no pause', 'the source records starts only', 'The time since the previous response is taken'),
  W_TRACE_PARTIAL_CONFLICT: entry('a block id is partial in one row and full in another', 'labels of last blocks', 'Harmless when rare'),
  W_TRACE_PREFIX_SIZE: entry(
    'tool and system tokens exceed the first prompt of an agent',
    'sizes taken from another request',
    'Sharing uses the smaller value',
  ),
  W_TRACE_SKIPPED: entry('bad sessions were skipped', '--skip-bad', 'Look at the first ones'),
  W_TRACE_TIME_BASIS: entry(
    'inner times of sub-agents are partly relative, partly absolute',
    'a mixed recording',
    'Both counts are printed',
  ),
  W_TRACE_TOTALS: entry(
    'totals of a session differ from the sum of its requests',
    'a request that was dropped when recording',
    'Nothing to do',
  ),
  W_TRACE_UNKNOWN_FIELD: entry('a field of a trace is unknown', 'a newer format, or a misspelling', 'Follow the hint'),
};

/** Warnings; each carries its measured value and limit where it is printed. */
const WARNINGS: Record<string, CodeEntry> = {
  W_CI_WIDE: entry(
    'the interval of the primary metric is wider than 10 %',
    'too few replications for the spread',
    'Run with the number of --reps printed',
  ),
  W_REPS_FEW: entry('fewer than 5 replications', 'a small replications.min', 'Raise it'),
  W_WARMUP_SHORT: entry(
    'the warm-up is shorter than the transient',
    'run.warmup is below what the series show',
    'Set warmup to the value printed, or auto',
  ),
  W_HORIZON_SHORT: entry('the measured window is short against TTL or session span', 'run.horizon', 'Extend the horizon'),
  W_TTL_UNTESTED: entry(
    'hardly any pause exceeds the TTL',
    'a capped trace, or a TTL longer than all pauses',
    'Remove workload.trace.gapCap or use another trace',
  ),
  W_SATURATED: entry(
    'the fleet serves less than is offered',
    'overload: latency has no steady value',
    'Read throughput, or lower the load',
  ),
  W_TAIL_THIN: entry('a printed quantile rests on few samples', 'fewer than 5 samples beyond it per replication', 'More sessions'),
  W_CENSORED: entry('many sessions are open at the horizon', 'the run ends too early', 'Extend run.horizon, or drain: true'),
  W_DOMINANT: entry('few sessions hold much of the tokens', 'heavy-tailed sessions and few of them', 'Another seed, more sessions'),
  W_TIES: entry('the order of simultaneous events matters', 'many ties', 'Report the spread'),
  W_REGIME: entry(
    'much of the time lies outside the validated range of the step times',
    'very long contexts or batches, or thrashing',
    'Read the flags; add capacity',
  ),
  W_EXCLUDED: entry('many sessions were excluded', 'they exceed the context limit', 'Raise fleet.contextLimit'),
  W_PRESSURE_NONE: entry(
    'nothing was ever evicted',
    'the cache holds everything, so retention cannot matter',
    'Reduce capacity or add load',
  ),
  W_HOST_CHURN: entry(
    'the host tier is smaller than HBM and every block is copied to it',
    'hostWrite: writeThrough: copies leave the host before their originals leave HBM',
    'Raise tiers.host.size, or copy less: hostWrite: lazy or selective',
  ),
  W_TIER_CHURN: entry(
    'a disk or remote store is smaller than the tier above and gets a copy of all that this holds',
    'fill: writeThrough: copies leave it before their originals leave the tier above',
    'Raise its size, or set fill: writeBack',
  ),
  W_HOST_FILTER: entry(
    'the frequency filter let no block into the host tier',
    'hostAdmitMin is high, or blocks are used again later than hostAdmitDecay',
    'Lower hostAdmitMin or raise hostAdmitDecay',
  ),
  W_UNCALIBRATED: entry('a timing cell has no serving points behind it', 'derived from kernel measurements only', 'Read the trust block'),
};

/** All codes. */
export const ERROR_CODES: Readonly<Record<string, CodeEntry>> = { ...SCENARIO, ...RUN, ...TRACE, ...WARNINGS };
