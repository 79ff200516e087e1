"""The words of the generated corpus, most frequent first in every list.

No word form stands in two lists, save the relative `that`: the grammar of
`generated` is unambiguous because of it.
"""

# A kind is what a noun names; verbs and adjectives go with one kind.
KINDS = (
    "man",
    "woman",
    "animal",
    "vehicle",
    "device",
    "plant",
    "office",
    "weather",
)

NOUNS = {
    "man": """man boy father king brother waiter uncle priest prince monk
        butler wizard duke baron bachelor groom nephew cowboy sheriff knight
        emperor grandfather abbot gentleman""",
    "woman": """woman girl mother queen sister nurse aunt princess nun
        waitress actress heiress duchess widow bride niece witch landlady
        baroness maid ballerina empress grandmother hostess""",
    "animal": """dog cat horse wolf lion cow goat fox rabbit tiger donkey
        monkey lamb squirrel otter camel badger goose hen puppy kitten beaver
        zebra leopard""",
    "vehicle": """car truck boat bus taxi tractor wagon lorry ferry van
        tram bicycle scooter canoe yacht locomotive helicopter jeep trolley
        carriage raft sedan minivan barge""",
    "device": """computer radio printer clock camera telephone lamp scanner
        robot oven freezer heater keyboard laptop toaster modem television
        kettle projector battery sensor calculator antenna alarm""",
    "plant": """tree rose oak tulip fern vine cactus bush pine lily shrub
        orchid willow maple daisy birch cedar hedge thistle poppy lilac
        violet bamboo elm""",
    "office": """company bank court agency ministry committee school union
        hospital firm university senate charity council museum brewery
        factory publisher parliament insurer airline bakery brokerage
        embassy""",
    "weather": """storm cloud wind river wave flood glacier blizzard
        hurricane ocean waterfall tide snowflake thunderstorm breeze
        avalanche raindrop tornado volcano earthquake fog puddle gale
        drizzle""",
}

IRREGULAR_PLURALS = {
    "man": "men",
    "woman": "women",
    "gentleman": "gentlemen",
    "wolf": "wolves",
    "goose": "geese",
    "cactus": "cacti",
}

INTRANSITIVE_VERBS = {
    "man": """shave stammer swagger apologize gamble brag duel preach
        daydream kneel shrug bicker""",
    "woman": """curtsy giggle knit gossip sing waltz smile sigh whisper
        blush yodel tiptoe""",
    "animal": """bark sleep growl graze gallop howl sniff hibernate purr
        gnaw bleat pounce""",
    "vehicle": """swerve skid accelerate overturn depart derail honk brake
        refuel stall veer sputter""",
    "device": """beep flicker crash reboot overheat hum malfunction buzz
        click glow tick recharge""",
    "plant": """grow bloom wither blossom sprout wilt flower ripen droop
        germinate decay photosynthesize""",
    "office": """expand merge convene litigate downsize prosper adjourn
        restructure vote advertise relocate collapse""",
    "weather": """subside rage swell drift recede erupt surge thicken
        evaporate roar dissipate intensify""",
}

TRANSITIVE_VERBS = {
    "man": """challenge salute arrest betray tackle outwit rescue bribe
        insult ambush""",
    "woman": """admire adore console marry scold embrace charm comfort
        flatter forgive""",
    "animal": """chase bite lick smell attack scratch stalk devour sniffle
        nuzzle""",
    "vehicle": """transport tow hit deliver carry splatter overtake ram
        bump collect""",
    "device": """record scan detect monitor display measure illuminate
        photograph analyze track""",
    "plant": """shade overgrow perfume feed entangle adorn nourish conceal
        decorate outgrow""",
    "office": """hire sue fund employ investigate audit insure regulate
        acquire sponsor""",
    "weather": """flatten drench bury destroy erode freeze soak engulf
        submerge batter""",
}

ADJECTIVES = {
    "man": """bearded gallant bald chivalrous burly unshaven fatherly
        boyish""",
    "woman": """elegant motherly graceful pregnant sisterly ladylike
        veiled girlish""",
    "animal": """hungry furry tame stray feral shaggy spotted horned""",
    "vehicle": """parked rusty armored overloaded roadworthy empty
        four-wheeled motorized""",
    "device": """electronic portable digital wireless faulty automatic
        programmable unplugged""",
    "plant": """leafy evergreen thorny fragrant tropical potted climbing
        budding""",
    "office": """bankrupt profitable federal private corporate reputable
        underfunded nonprofit""",
    "weather": """rainy violent icy stormy tidal muddy seasonal
        unforecast""",
}

PLAIN_ADJECTIVES = """old new big small young famous strange quiet large
    beautiful ugly dangerous ordinary expensive silent huge lonely mysterious
    clumsy tiny noisy gray yellow enormous foreign forgotten curious remote
    peculiar magnificent"""

PREPOSITIONS = """near with behind beside under from beyond above around
    against opposite past below across"""

EARLY_ADVERBS = """often never always rarely sometimes usually seldom still
    suddenly frequently"""

LATE_ADVERBS = """quietly slowly again today quickly alone loudly yesterday
    gently everywhere badly forever tonight outdoors"""

SINGULAR_DETERMINERS = "this every one another each"
PLURAL_DETERMINERS = "some these many those two several few three"
COMMON_DETERMINERS = "the my our his her their your its"

# Particle to the verbs that it belongs to.
PARTICLES = {
    "up": "pick wake cheer hang",
    "down": "put turn let shout",
    "out": "throw kick find rule",
    "off": "drop call scare show",
    "away": "send give drive lock",
    "back": "bring pay take hold",
    "apart": "pull tear tell",
    "over": "win hand knock",
}

REFLEXIVE_VERBS = "wash blame repair protect hide introduce expose ruin"
LINK_VERBS = {"sg": "is seems looks remains", "pl": "are seem look remain"}
SPEECH_VERBS = """says thinks believes claims knows hopes fears insists
    suspects denies hears swears"""
QUOTE_VERBS = "said asked answered cried replied added"

# Opener of a sentence to the word that must begin its second half.
CORRELATIVES = {
    "if": "then",
    "either": "or",
    "although": "yet",
    "because": "therefore",
    "whenever": "immediately",
    "unless": "otherwise",
}

NAMES = {
    "man": """john peter james robert michael david thomas paul george
        edward henry frank walter arthur martin oscar hugo victor albert
        simon""",
    "woman": """mary anna susan linda helen laura alice emma julia clara
        martha diana ruth sophie irene nora edith olivia agnes vera""",
}

PRONOUNS = {"man": "he", "woman": "she"}
REFLEXIVES = {"man": "himself", "woman": "herself"}
NEUTER_REFLEXIVE = "itself"
PLURAL_REFLEXIVE = "themselves"


def add_s(word: str) -> str:
    """Adds the ending of a plural noun, or of a verb in the singular.

    Args:
        word: A noun in the singular or a verb in the plural, lower case.

    Returns:
        The word with `s`, `es` or `ies`.
    """
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def plural(noun: str) -> str:
    """Returns the plural of a noun of this lexicon."""
    return IRREGULAR_PLURALS.get(noun) or add_s(noun)
