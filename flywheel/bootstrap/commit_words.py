"""The words by which a commit's message is judged, so that no model is needed to read it."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Verbs as a message begins with them: "Add a test", never "Added" or "Adds".
IMPERATIVES = _words("""
    abort accept acquire adapt add adjust align allocate allow amend annotate append apply approve archive arrange
    assert assign attach authenticate authorize avoid await balance batch bind block bound break buffer build bundle
    bypass cache calculate call cancel cap capture cast catch centralize change check choose clamp clarify clean cleanup
    clear clone close coerce collapse collect combine compare compile complete compress compute concatenate condense
    configure confirm connect consolidate constrain construct consume convert copy correct count cover create cut
    deactivate debounce debug decode decouple decrease dedupe deduplicate default defer define degrade delay delegate
    delete deny deprecate derive describe deserialize detach detect determine disable disallow discard disconnect
    dispatch display distinguish divide document downgrade download drain drop dump duplicate eliminate embed emit
    enable encapsulate encode encrypt enforce enhance enlarge ensure enter enumerate escape establish estimate evaluate
    evict exclude execute exit expand expect expire explain expose express extend extract factor fail fall fallback
    fetch fill filter finalize find finish fix flag flatten flush fold follow forbid force format forward free freeze
    gate gather generalize generate get give grant group guarantee guard halt handle harden hash hide highlight hoist
    honor honour hook ignore implement import improve include increase increment index infer inherit initialize inject
    inline insert inspect install instrument integrate intercept introduce invalidate invert invoke isolate iterate
    join keep key kill label launch lift limit link list listen load localize lock log lower make manage map mark mask
    match measure memoize merge migrate minimize mock modernize modify monitor mount move name narrow negate nest
    normalise normalize notify nullify obey obtain omit open optimise optimize order organise organize output override
    overwrite pack pad paginate parallelize parameterize parametrize parse pass patch pause perform permit persist pick
    pin pipe place poll pop populate port postpone prefer prefix prepare prepend preserve prevent print prioritize
    process produce prohibit promote propagate protect provide prune publish pull purge push put query queue quote raise
    randomize rank read rebuild recalculate receive recognise recognize reconnect record recover redact redirect reduce
    redesign refactor refine refresh refuse register reimplement reject relax release reload relocate rely remove
    rename render reorder reorganize replace reply report represent request require rescue reserve reset resize resolve
    respect respond restart restore restrict restructure resume retain rethrow retrieve retry return reuse revert
    revise rewrite rework rotate round route run sanitize save scale scan schedule scope scroll search seed select send
    separate serialize serve set setup shard share shield shorten show shrink signal simplify skip slice snapshot sort
    specify speed split stabilize standardize start stop store stream strengthen strip structure stub submit subscribe
    substitute suffix supply support suppress suspend swap switch synchronize sync tag take target teach tear terminate
    test throttle throw tighten time toggle tolerate trace track transform translate traverse treat trigger trim
    truncate try tune turn type unblock unescape unify uninstall unlock unpack unregister unset unwrap upgrade upload
    use validate vendor verify view wait walk warn weaken widen wire wrap write yield zip
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
