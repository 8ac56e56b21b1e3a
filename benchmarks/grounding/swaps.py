"""Swapped answers: which value takes the true one's place, and whether the passage has it all the same."""

import random
import re
import unicodedata

from benchmarks.grounding.questions import SMALL_WORDS, Question
from tidegate.policy.facts_numbers import numbers

SENTENCES = {
    "en": (
        "{X}",
        "{X}.",
        "The answer is {X}.",
        "According to the text, it was {X}.",
        "It was {X}, as the passage says.",
        "The passage mentions {X} in this regard, which answers the question.",
        "Based on the context provided, I would say: {X}. Let me know if you need more details.",
        "Sure! That would be {X}. Please note that other sources may differ.",
        "Thanks for your question. From what I can see in the document, the correct value here is {X}.",
        "In short: {X}. The other details given there do not change this conclusion.",
        "As far as the material shows, {X} is what you are looking for.",
    ),
    "de": (
        "{X}",
        "{X}.",
        "Die Antwort lautet: {X}.",
        "Laut dem Text war es {X}.",
        "Dem Abschnitt zufolge ist von {X} die Rede.",
        "Das war {X}, wie der Text angibt.",
        "Auf Grundlage des Textes lässt sich die Frage so beantworten: {X}. Weitere Angaben fehlen leider.",
        "Gerne! Gemeint ist hier {X}. Bitte beachten Sie, dass andere Quellen abweichen können.",
        "Vielen Dank für die Nachfrage. Nach den vorliegenden Unterlagen handelt es sich um {X}.",
        "Kurz gesagt: {X}. Die übrigen Einzelheiten im Dokument ändern an dieser Einschätzung nichts.",
        "Aus dem Material geht hervor, dass {X} gemeint ist, was sich mit der Beschreibung deckt.",
    ),
    "es": (
        "{X}",
        "{X}.",
        "La respuesta es {X}.",
        "Según el texto, fue {X}.",
        "En el pasaje se menciona {X} a este respecto.",
        "Fue {X}, como dice el texto.",
        "Con base en el contexto, diría lo siguiente: {X}. Avíseme si necesita más detalles.",
        "¡Claro! Se trata de {X}. Tenga en cuenta que otras fuentes pueden diferir.",
        "Gracias por la pregunta. Por lo que veo en el documento, el dato correcto es {X}.",
        "En resumen: {X}. Los demás detalles del documento no cambian esta conclusión.",
        "Hasta donde muestra el material, se refiere a {X}, y nada indica lo contrario.",
    ),
}
HELD_OUT_SENTENCES = {
    "en": (
        "Happy to help: the report names {X}, although only in passing.",
        "Going by the attached pages, one would have to conclude that it is {X}.",
        "I checked the relevant section again, and {X} is indeed what its author states.",
    ),
    "de": (
        "Gute Frage. Im Bericht steht dazu {X}, allerdings nur am Rande.",
        "Nach Durchsicht der beigefügten Blätter komme ich zu folgendem Schluss: {X}.",
        "Ich habe die betreffende Passage noch einmal geprüft, und der Verfasser nennt tatsächlich {X}.",
    ),
    "es": (
        "Con mucho gusto. El informe menciona {X}, aunque solo de pasada.",
        "A la vista de las páginas adjuntas, cabe concluir que se trata de {X}.",
        "He revisado de nuevo la sección correspondiente y su autor indica efectivamente {X}.",
    ),
}
"""Said only of questions that are held out."""

BARE = ("{X}", "{X}.")


def plain(text: str) -> str:
    """A text for comparing: without case, accents and the separators of thousands."""
    text = unicodedata.normalize("NFKD", text.casefold())
    text = "".join(char for char in text if not unicodedata.combining(char))
    return re.sub(r"(?<=\d)[.,' \u00a0\u202f](?=\d{3}(?!\d))", "", text)


def is_absent(kind: str, value: str, passage: str, language: str) -> bool:
    """Whether no part of the value that says which it is stands in the passage."""
    there = plain(passage)
    words = set(re.findall(r"[^\W_]+", there))
    if re.search(rf"(?<!\w){re.escape(plain(value))}(?!\w)", there):
        return False
    if kind == "name":
        return not any(
            _stands(word, words)
            for word in re.findall(r"[^\W_]{3,}", plain(value))
            if not SMALL_WORDS.match(word)
        )
    figures = re.findall(r"\d+", plain(value))
    spelled = {one for number in numbers(value.lower(), (language,)) if number.word for one in number.values}
    in_passage = {
        one for number in numbers(passage.lower(), (language,)) if number.word for one in number.values
    }
    shown = set(re.findall(r"\d+", there))
    if kind == "number":
        return (
            not spelled & (in_passage | shown) and not shown & set(figures) and not in_passage & set(figures)
        )
    year = [figure for figure in figures if len(figure) == 4]
    return bool(year) and not any(figure in there for figure in year)


def _stands(word: str, words: set[str]) -> bool:
    """Whether a word of the passage is this one, or begins as it does."""
    stem = word[: max(4, len(word) - 3)]
    return word in words or (
        len(word) >= 4
        and any(other.startswith(stem) or (len(other) > 4 and word.startswith(other)) for other in words)
    )


def swapped(question: Question, others: list[Question], chance: random.Random, *, near: bool) -> str | None:
    """Another value of the kind: out of the same passage, or absent from it."""
    if near:
        same = [
            one.answer
            for one in others
            if one.passage == question.passage and plain(one.answer) not in plain(question.answer)
        ]
        return chance.choice(sorted(set(same))) if same else None
    for _ in range(60):
        one = chance.choice(others)
        if is_absent(question.kind, one.answer, question.passage, question.language):
            return one.answer
    return None


def answer_of(value: str, language: str, pick: int, *, held: bool) -> tuple[str, int]:
    """An answer that says the value, and where in it."""
    shapes = SENTENCES.get(language, BARE) + (HELD_OUT_SENTENCES.get(language, ()) if held else ())
    before, _, after = shapes[pick % len(shapes)].partition("{X}")
    return before + value + after, len(before)
