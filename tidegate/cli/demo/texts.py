"""What the demo's three applications read: their prompts, and the mails and notes of one day."""

LABEL_SYSTEM = "Label each support ticket with the product and its problem, as JSON."
LABEL_EXAMPLES = (
    ("The kettle from order 5512 arrived broken. Can you send a new one?", "kettle", "broken"),
    ("I ordered a blue lamp, but the lamp in the box is too small for us.", "lamp", "too small"),
    ("Hello, my chair has a missing screw. What can I do?", "chair", "missing screw"),
    ("The desk is scratched and I would like my money back.", "desk", "scratched"),
)
TICKETS = (
    "We unpacked the mirror this morning and it is cracked.",
    "The clock from order 6120 stopped after two days, it is useless now.",
    "The rug you sent is too large for the room.",
    "Good morning, the teapot came with a loose handle.",
    "The toaster has a faulty plug and smells of smoke.",
    "Can I return the vase? It is chipped at the bottom.",
    "Hi, the blanket I bought last week has a torn seam. Do you repair it?",
    "My new bottle is leaking, everything in my bag is wet.",
)

ORDER_SYSTEM = "Extract the order from the mail. Answer with one line: quantity, article, city."
ORDER_EXAMPLES = (
    ("Hello, please send 3 desk lamps to our office in Leeds. Thanks, Ann", "3, desk lamps, Leeds"),
    ("We need 12 office chairs delivered to Dublin by Friday.", "12, office chairs, Dublin"),
    ("Could you ship one standing desk to Bristol? Regards, Tom", "1, standing desk, Bristol"),
)
MAILS = (
    "Good morning, we would like to order 5 monitor arms for our branch in York. Best, Lucy",
    "Please send 20 notebooks and nothing else to Cardiff. Kind regards, Omar",
    "Hi, can you deliver 2 whiteboards to Glasgow next week? Thanks, Ines",
    "For our new office in Bath we need 8 filing cabinets.",
    "Could we have 6 footrests sent to the Norwich office? Thank you, Priya",
    "Dear team, please ship 15 desk mats to Leicester before the end of the month. Sam",
)

BLURB_SYSTEM = (
    "You write product descriptions for a web shop. "
    "Answer with two short, friendly sentences about the product."
)
PRODUCTS = (
    "Oak desk lamp, dimmable, warm light, 40 cm",
    "Steel water bottle, 750 ml, keeps drinks cold for 24 hours",
    "Wool blanket, 140 x 200 cm, grey, made in Wales",
    "Canvas shopping bag, green, with long handles",
    "Ceramic plant pot, white, 18 cm, with saucer",
    "Bamboo cutting board with a groove for juice",
)
LONG_REQUEST = "Tell the story of a small shop by the sea, from its first day to its last, in many words."
