"""What tells a common noun of German from a name: German writes both with a capital."""

from tidegate.policy.facts_words import listed


def _words(text: str) -> frozenset[str]:
    return frozenset(listed(text))


LINKING = _words(
    """
    de di du da del della of y & al bin ibn van la le
    """
)
"""In German `von`, `zu` and the articles stand between common nouns as well."""

_ENDINGS = tuple(
    _words(
        """
        ung ungen heit heiten keit keiten schaft schaften tion tionen sion sionen tät täten nis nisse
        nissen tum ismus ment mente enz anz logie grafie chen lein ling linge zeit teil teile teilen
        werk stoff stoffe recht rechte platz haus mann leute jahr jahre jahren wort satz kraft zahl
        zahlen
        """
    )
)
"""How common nouns of German end, and the last parts of many compounds."""

_LONGEST_NAME = 14
_LONGEST = 40
_SHORTEST_HEAD = 5
_SHORTEST_REST = 3
_INFLECTED = ("n", "en", "e", "er", "ern", "s", "es")

INFLECTIONS = ("e", "en", "er", "es", "em")
"""How adjectives of German end before a noun."""

ARTICLES = _words(
    """
    der die das den dem des ein eine einen einem einer eines kein keine keinen keiner sein seine seinen
    seiner seinem ihr ihre ihren ihrer ihrem unser unsere unserer dies diese dieser dieses diesen diesem
    jede jeder jedes jeden jedem alle aller allen viele vielen vieler einige einigen mehrere mehreren
    beide beiden welche welcher welches manche im am zum zur vom beim ins ans mein meine meinen dein
    deine deinen
    """
)

_ADJECTIVES = _words(
    """
    ander best beid deutsch eigen einfach einzeln falsch folgend früh ganz genau genannt gesamt groß gut
    halb hoch höher jung klar klein kurz lang letzt lieb mehr meist möglich neu nächst offen richtig
    spät später sonstig stark übrig verschieden viel vorig weiter wenig wichtig zusätzlich alt erst
    zweit dritt
    """
)
"""Stems of adjectives that begin sentences: with an ending and a capital they are no first names."""

_NOUNS = _words(
    """
    abbildung abend abfall abgabe abhang abhängigkeit abkommen ablauf absatz abschied abschluss
    abschnitt absicht abstand abteilung abwehr abzug acht ader affe akte aktie alltag alter amt anbau
    anbieter andenken anfang anfrage angabe angebot angehöriger angelegenheit angriff angst anhang
    anhänger anklage ankunft anlage anlass anleger annahme ansatz anschlag anschluss ansicht anspruch
    anstalt anstieg anteil antrag antrieb antwort anwalt anwender anzahl anzeige apfel apparat arbeit
    arbeiter architekt argument arm armee armut art artikel arzt aspekt atem aufbau aufenthalt aufgabe
    aufklärer auflage aufnahme aufsatz aufschluss aufsicht aufstand aufstieg auftakt auftrag auftritt
    aufwand auge augenblick ausbau ausblick ausdruck auseinander ausfall ausgabe ausgang auskunft
    ausland auslöser ausmaß ausnahme ausrüster aussage ausschuss aussicht ausstoß austausch ausweg
    ausweis auszug auto autobahn autor autorin bach bahn ball band bank basis bau bauer baum bauwerk
    beamter bedarf bedürfnis befehl beginn begleiter begriff behörde beispiel beitrag bekannter beleg
    bereich berg berge bericht beruf besitz besuch besucher betrag betrieb bett beute bevölkerer beweis
    bewerber bewohner bezirk bezug bild bischof bitte blatt blick blut boden bogen boot botschaft
    branche brand breite brief bruder brust brücke buch buchstabe bund bühne bündnis bürger
    bürgermeister büro chance charakter chef computer dach dame dampf dank darstellung datei daten datum
    dauer debatte denkmal detail dialekt dichter dieb dienst ding direktor diskussion dokument dollar
    dorf drama dreieck druck dunkel durchbruch durchlauf durchmesser durchschnitt durchsicht durst ebene
    ecke effekt ehe ehre eigenschaft eigentum eigentümer eimer einblick eindruck einfall einfluss
    eingang einheit einkommen einnahme einsatz einschnitt eintrag einwand einwohner einzelfall eisen
    element eltern empfang empfänger ende energie engel enkel entdecker entwurf entzug erbe erde
    ereignis erfinder erfolg ergebnis erlass erlebnis ersatz ertrag erwachsener erwerb erz erzähler
    essen etage etappe euro exemplar experte export fabrik fach faden fahrer fahrt fahrzeug fakten
    faktor fall familie farbe fassade faust fehler feier feind feld fels fenster fest festung feuer
    figur film finger firma firmen fisch flagge flamme flasche fleisch flotte flucht flug flughafen
    flugzeug fluss flut fläche folge form format forscher forst foto frage frau freiheit freude freund
    frieden front frucht frühling fund funke funktion furcht fuß fähre führer fürst gabe gang garten gas
    gast gattung gebet gebiet gebirge gebot gebrauch geburt gebäude gedanke gedicht gedächtnis gefahr
    gefecht gefängnis gefühl gegend gegensatz gegenstand gegenteil gegenwart gegner gehalt gehirn geist
    geld gelände gemeinde gemälde genosse gepäck gericht geruch gerät gesang geschehen geschenk
    geschichte geschlecht geschmack geschäft gesetz gesicht gespräch gestalt gestein gesuch getränk
    gewalt gewebe gewerbe gewicht gewinn gewinner gewitter gewölbe gift gipfel glas glaube gleichgewicht
    glied glocke glück gold gott grab grad graf gramm gras grenze griff grund grundlage gruppe größe
    gründer gut haar hafen haft hals halt hand handel handwerk hang haupt hauptstadt haus haut heer heft
    heilig heim heimat heirat held helfer hemd herbst herd herkunft herr herrscher herz herzog hieb
    hilfe himmel hinblick hinsicht hintergrund hinweis hitze holz honig horn hotel humor hund hunderte
    hunger hut hälfte händler höhe höhepunkt höhle hügel idee industrie information informationen
    ingenieur ingenieure inhalt initiative inschrift insel institut instrument interesse internet irrtum
    jagd jahr jahrhundert jahrzehnt jubel jugend junge jurist jäger kabel kaiser kammer kampf kanal
    kandidat kante kanzler kapelle kapital kapitel karte kasse katalog kategorie kauf kern kette
    kilogramm kilometer kind kino kirche kissen klage klang klasse kleid klima klinik kloster knabe
    knochen kohle kolonie komitee kommentar kommission komponist konflikt kongress kontext konto
    kontrolle konzept konzern konzert kopf korn kosten kraft kranker krankheit kraut kredit kreis kreuz
    krieg krieger krise kritik kritiker krone kugel kultur kunde kunst kuppel kurs kämpfer käufer könig
    körper künstler küste labor lage lager lampe land landschaft last laub lauf laune laut leben leder
    lehre lehrer leib leiche leid leiter lektion leser leute licht liebe lied lieferant liga linie liste
    liter literatur lob loch lohn luft lust länge lösung macht magen mal maler mangel mann mannschaft
    marke markt maschine masse material mauer maus maß maßnahme medizin meer mehrheit meile meinung
    meister melodie menge mensch merkmal messe messer metall meter metern methode miete milch minister
    minute minuten mitarbeiter mitglied mittag mitte mittel mode modell moment monat mond moral mord
    morgen motiv motor mund musik muster mut mutter mädchen mühe münze nachbar nachfolger nachfrage
    nachkomme nachmittag nachricht nacht nachteil nachweis name nase nation natur nebel neffe netz
    niederlage niveau norden norm not note notiz nummer nutzen nutzer nähe oberfläche objekt ofen
    offizier ohr oper opfer option orden ordner organ ort osten paar pakt palast panik papier papst park
    partei partie partner passage patient pause person pfad pfarrer pferd pflanze pflicht phase pilger
    plan planer planet platte platz pokal politik politiker posten praxis preis presse priester prinz
    prinzessin prinzip privileg probe problem produkt produzent professor programm projekt protest
    provinz prozent prozess präsident prüfer publikum punkt quelle rahmen rand randnotiz rang rat
    rathaus raub rauch raum reaktion recht rede redner reform regel regen regierer regierung region
    reich reihe reise reiter rekord religion rennen rente rest resultat rettung richter richtlinie ring
    risiko ritter rolle roman rose ruf ruhe ruhm runde rückblick rückgang rückkehr saal sache saft sage
    saison salz samen sammler sand satz schacht schaden schall schatten schatz schauplatz scheibe schein
    schema scherz schicht schicksal schiff schild schlacht schlaf schlag schloss schluss schlüssel
    schmerz schnee schnitt schrank schreiben schrein schrift schriftsteller schritt schuld schule schuss
    schutz schwert schwester schwierigkeit schönheit schüler see seele segel seite sektor selbst senat
    serie sessel sicht sieg sieger signal silber sinn sitte situation sitz sklave sohn soldat sommer
    sonne sorge sorte spalte spanne spaten spaß speicher spiegel spiel spieler spitze sport sprache
    sprecher sprung spur staat staatsanwalt stab stadion stadt stahl stamm stand standort stapel start
    station statue status staub stein stelle stern steuer stich stift stil stille stimme stirn stoff
    stolz strafe strahl strand straße strecke streik streit strom struktur strömer student studie
    studium stufe stuhl stunde sturm stärke stück stütze suche summe sumpf system säule süden tabelle
    tafel tag takt tal tanz tasche tat tatsache tausende team technik teil teilnehmer telefon tempel
    temperatur tempo teppich termin test teufel text theater thema theorie these thron tiefe tier tisch
    titel tochter tod ton tor tourist tradition trainer traktat traum treffen trend treppe treue trick
    trieb truppe träger tuch tugend turm turnier typ täter tür ufer uhr umfang umfeld umgang umsatz
    umstand umwelt unfall unglück universität unrecht unterlage unternehmen unterricht unterschied
    unterschrift unterstützer ursache ursprung urteil vater verband verbindung verbot verbrauch
    verbrechen verdacht verein verfahren verfall verfasser vergleich verhalten verhältnis verkauf
    verkehr verlag verlauf verlust vermerk vermögen verstand versuch vertrag vertrauen vertreter
    verwalter verwandte verweis verzicht vieh viertel vogel volk vorbild vorfahren vorfall vorgang
    vorgänger vorhaben vorjahr vorrat vorschlag vorschrift vorsitz vorstand vorteil vortrag vorwurf
    waffe wagen wahl wahrheit wald wand wandel ware wasser wechsel weg weib wein weise weite welle welt
    weltkrieg wende werbung werk werkzeug wert wesen westen wettbewerb wette wetter widerstand wiese
    wille wind winkel winter wirklichkeit wirt wirtschaft wissen wissenschaftler witwe woche wohl wolke
    wolle wort wunde wunder wunsch wurf wurzel wärme wüste zahl zahn zauber zaun zeichen zeichner zeile
    zeit zeitalter zeitraum zelle zelt zentrum zeuge zeugnis ziel zimmer zins zitat zone zorn zufall zug
    zugang zugriff zukunft zunahme zunge zusammenhang zusatz zuschauer zustand zustimmer zutritt zuwachs
    zweck zweifel zweig zwilling ärger öl übel überblick überfall übergang übersicht
    """
)
"""Common nouns, as dictionaries list them."""
_IN_NAMES = _words("stadt reich kirche brucke hafen stein schild kreuz")
"""Nouns that names of places and people end with."""


def _plain(word: str) -> str:
    return word.lower().translate(_UMLAUTS)


_UMLAUTS = str.maketrans({"ä": "a", "ö": "o", "ü": "u", "ß": "ss"})
_KNOWN = frozenset(map(_plain, _NOUNS))
_HEADS = frozenset(noun for noun in _KNOWN - _IN_NAMES if len(noun) >= _SHORTEST_HEAD)


def is_common(word: str) -> bool:
    """Whether a word is a common noun: a usual one, a compound of one, or by its ending."""
    plain = _plain(word[:_LONGEST])
    stems = {plain, *(plain.removesuffix(ending) for ending in _INFLECTED)}
    return (
        word.lower().endswith(_ENDINGS)
        or not stems.isdisjoint(_KNOWN)
        or any(
            stem[at:] in _HEADS
            for stem in stems
            for at in range(_SHORTEST_REST, len(stem) - _SHORTEST_HEAD + 1)
        )
    )


def is_long(word: str) -> bool:
    """Whether a word is longer than names are."""
    return len(word) > _LONGEST_NAME


def is_adjective(word: str) -> bool:
    """Whether a word at the head of a sentence is an adjective, by its ending or as one of the usual ones."""
    lowered = word.lower()
    return lowered.endswith(("en", "em", "es")) or lowered.removesuffix("r").removesuffix("e") in _ADJECTIVES
