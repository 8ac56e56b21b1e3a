"""Small words of four languages: to tell a language, and words at the head of a sentence from names."""


def listed(text: str) -> list[str]:
    """The words of a list that is written as one text."""
    return text.split()


def _words(text: str) -> frozenset[str]:
    return frozenset(listed(text))


FUNCTION = {
    "en": _words(
        """
        the a an and or but nor so yet of in on at by for with from to into onto about as than that this
        these those it its he she they them his her their we our you your i is are was were be been
        being has have had do does did not no yes if when while where who whom whose which what why how
        there here also however moreover furthermore therefore thus hence additionally finally first
        then next later after before since during between among through over under above below both each
        every all any some many most much more less few several other another such only just even still
        although though because according based overall yesterday today tomorrow sorry sure certainly
        note please let can could will would shall should may might must within without against despite
        instead unlike like per via upon once twice again
        """
    ),
    "de": _words(
        """
        der die das den dem des ein eine einen einem einer eines und oder aber denn sondern von vom in
        im ins an am auf aus bei beim mit nach zu zum zur für durch gegen ohne um über unter vor hinter
        neben zwischen seit während wegen trotz laut gemäß als wie dass ob wenn weil da so auch nicht
        kein keine keinen er sie es wir ihr ich du man sich sein seine seinen seiner ihre ihren ihrer
        unser dies diese dieser dieses diesen jede jeder jedes alle viele einige manche mehrere beide
        ist sind war waren wird werden wurde wurden hat haben hatte hatten kann können konnte muss soll
        wer was wann wo warum welche welcher welches hier dort dann danach zuerst schließlich außerdem
        zudem jedoch dennoch daher deshalb somit ja nein leider gerne bitte insgesamt etwa rund ungefähr
        später damals heute gestern morgen nun noch nur schon sehr bereits dabei damit daran darauf
        daraus hierbei beispielsweise
        """
    ),
    "es": _words(
        """
        el la los las un una unos unas lo y e o u pero sino de del al a en con por para sin sobre
        entre desde hasta hacia según durante tras ante bajo contra como que qué quien quién quiénes
        cual cuál cuáles adónde cuando cuándo donde dónde cómo porque si sí no ni se su sus mi tu
        nos les le me te este esta esto estos estas ese esa eso esos esas aquel aquella es son era
        eran fue fueron ser ha han había hay tiene tienen está están muy más menos también además
        embargo luego después antes finalmente primero entonces así ya hoy ayer mañana todo toda
        todos todas cada otro otra otros otras mismo misma algunos algunas varios varias muchos
        muchas señor señora aunque mientras
        """
    ),
    "fr": _words(
        """
        le la les un une des du de d l et ou mais donc or ni car à au aux en dans par pour sans sur sous
        entre depuis pendant selon avec chez vers avant après comme que qui quoi dont où quand comment
        pourquoi si ne pas plus moins très il elle ils elles on nous vous je tu ce cet cette ces son sa
        ses leur leurs est sont était étaient fut furent a ont avait avaient être aussi cependant
        toutefois ensuite puis enfin d'abord ainsi tout toute tous toutes chaque autre autres même
        plusieurs certains non oui
        """
    ),
}

NEGATIONS = _words(
    """
    not no never none neither nor without cannot can't don't doesn't didn't isn't aren't wasn't won't
    wouldn't shouldn't couldn't nicht kein keine keinen keiner keinem nie niemals ohne weder nein nunca
    jamás sin ningún ninguna ni tampoco ne pas jamais sans aucun aucune non mai senza nessun nessuna
    niet geen nooit zonder bez
    """
)

TITLES = _words(
    """
    mr mrs ms miss dr prof professor sir lord lady king queen prince princess emperor pope saint st
    president chancellor minister senator governor general captain herr frau doktor könig königin kaiser
    papst präsident kanzler señor señora don doña rey reina emperador papa presidente m mme monsieur
    madame roi reine empereur pape président
    """
)

LINKING = _words(
    """
    of de del della di da do dos du des la le los las el van von der den ten ter zu zur y & e al bin ibn
    """
)
"""What stands inside a name in small letters."""

VERBS = _words(
    """
    is was are were has had have did does became wrote led won made took gave said held ran found
    founded built died lived played served ruled published discovered invented ist war sind waren wurde
    wurden hat hatte hatten schrieb führte gewann starb lebte regierte es fue son era eran fueron ha
    tenía escribió ganó dirigió murió vivió est fut sont a était écrivit
    """
)
"""Behind one of these a word at the head of a sentence is what the sentence is about."""
