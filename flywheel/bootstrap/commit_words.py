"""The words by which a commit's message is judged, so that no model is needed to read it."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Verbs as a message begins with them: "Add a test", never "Added" or "Adds".
IMPERATIVES = _words("""
    abort abstract accept acquire adapt add adjust adopt aggregate align allocate allow amend annotate announce append
    apply approve archive arrange assert assign assume attach augment authenticate authorize avoid await balance batch
    begin bind block bound break bring broaden buffer build bundle bypass cache calculate call cancel cap capture carry
    cast catch centralize change check choose clamp clarify clean cleanup clear clip clone close coerce collapse collect
    combine compact compare compile complete compress compute concat concatenate condense configure confirm connect
    consolidate constrain construct consume contain continue convert copy correct count cover create customize cut
    deactivate debounce debug declare decode decouple decrease dedupe deduplicate default defer define degrade delay
    delegate delete demote deny deploy deprecate derive describe deserialize detach detect determine disable disallow
    disambiguate discard disconnect dismiss dispatch display distinguish divide document downgrade download drain drop
    dump duplicate edit elevate eliminate embed emit emulate enable encapsulate encode encrypt enforce enhance enlarge
    ensure enter enumerate escape establish estimate evaluate evict exclude execute exempt exit expand expect expire
    explain expose express expunge extend extract factor fail fall fallback fetch fill filter finalize find finish fix
    flag flatten flush fold follow forbid force format forward free freeze fuse gate gather generalize generate get give
    grant group guarantee guard halt handle harden hash hide highlight hoist hold honor honour hook identify ignore
    implement import improve include increase increment indent index indicate infer inherit initialise initialize
    initiate inject inline insert inspect install instrument integrate intercept interpolate interpret introduce
    invalidate invert invoke isolate iterate join keep key kill label launch leave let lift limit link lint list listen
    load localize lock log lower make manage map mark mask match measure memoize mention merge migrate minimize mirror
    mock modernize modify monitor mount move mute name narrow negate nest normalise normalize notify nullify obey
    obfuscate obtain offer offload omit open optimise optimize order organise organize output override overwrite pack
    pad paginate parallelize parameterize parametrize parse pass patch pause perform permit persist pick pin pipe place
    polish poll pop populate port postpone precompute predict prefer prefix prepare prepend preserve prevent print
    prioritize process produce prohibit promote propagate protect provide prune publish pull purge push put query queue
    quote raise randomize rank read realign rearrange rebase rebuild recalculate receive recognise recognize recompute
    reconcile reconnect record recover recreate recycle redact redefine redesign redirect redo reduce reenable refactor
    refine reformat refresh refuse regenerate register reimplement reinstate reintroduce reject relax release reload
    relocate rely remember remind remove rename render reorder reorganize repair repeat replace reply report represent
    request requeue require reread rerun rescue resend reserve reset reshape resize resolve respect respond restart
    restore restrict restructure resume resync retain rethink rethrow retire retrieve retry return reuse revamp revert
    review revise rewind rework rewrite rotate round route run sanitize satisfy save scale scan schedule scope scroll
    search seed select send separate serialize serve set setup shard share shield shift shorten show shrink shuffle
    signal silence simplify simulate skip slice snapshot soften solve sort spawn specify speed split squash stabilize
    standardize start stash stop store stream strengthen stretch strip structure stub submit subscribe substitute
    subtract suffix suggest supply support suppress survive suspend swap switch sync synchronize tag take target teach
    tear tell terminate test throttle throw tidy tighten time toggle tokenize tolerate trace track transfer transform
    translate transpose traverse treat trigger trim truncate trust try tune turn type unblock unbreak uncomment undo
    unescape unhide unify uninstall unlink unlock unmount unpack unregister unroll unset untangle unwrap upgrade upload
    use validate vary vectorize vendor verify view visit wait wake walk warn weaken weigh widen wire wrap write yield
    zip
""")

#: What says nothing of what was done.
GENERIC = _words("wip misc miscellaneous update updates updated updating tmp temp stuff various")

#: What stands where an object should and is none.
NO_OBJECT = _words("""
    it this that these those them everything something anything nothing things thing stuff more some all again also too
    now and or but as if when while because so than then
""")
PREPOSITIONS = _words("""
    about above across after against along among around at back before behind below between by down during for from in
    inside into of off on onto out outside over past through to toward towards under until up upon via with within
    without away
""")
#: Verbs whose object follows a preposition: "switch to", "wait for", "clean up", "fall back to".
LEANING = _words("""
    account back bail break bring build call carry catch check clean clear close come cut depend disconnect drop fall
    fail figure fill filter find follow get give go guard hand hold hook iterate keep lay listen log look loop make mark
    migrate move opt pass pick point poll port protect pull push put refer rely report respond return roll round run
    search send set shut sort split start stop strip subscribe swap switch take tear throw tidy try turn unsubscribe
    wait walk warn wire wrap write yield
""")
DETERMINERS = _words("a an the its their our your each every any no only both another")

BOTS = _words("""
    dependabot renovate greenkeeper pyup snyk github-actions pre-commit-ci semantic-release allcontributors weblate
    transifex mergify imgbot codecov bors homu travis circleci renovate-bot dependabot-preview pyup-bot snyk-bot
    web-flow-bot release-please release-drafter crowdin lokalise deepsource sonatype-lift copybara
""")
