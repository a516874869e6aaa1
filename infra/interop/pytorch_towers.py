"""Towers in PyTorch, exported as `freshet import onnx` takes them, by both of PyTorch's exporters.

    pip install -r infra/interop/pytorch_requirements.txt
    python infra/interop/pytorch_towers.py [folder]

writes the models that the tests of services/towers/interchange import, and what PyTorch makes of some items and histories. The weights
are drawn, not trained: nothing here depends on what they are. PyTorch's random numbers, and so the files, are those of one release.
"""

import json
import random
import sys
import warnings
from pathlib import Path

import onnx

# --- the document's example begins
import torch
from torch import nn
from torch.export import Dim

DIM, HIDDEN = 8, 12
KINDS = ["purchase", "view", "hide"]  # row i + 1 is entry i; row 0 is any other kind
GAPS = 27                             # 0 unknown, 1 below a second, then k from 2^(k-2) seconds on


class ItemTower(nn.Module):
    def __init__(self, ids, tokens):  # the vocabulary's lengths; row 0 means none
        super().__init__()
        self.ids = nn.Embedding(ids + 1, DIM, padding_idx=0)
        self.tokens = nn.Embedding(tokens + 1, DIM, padding_idx=0)
        self.mix = nn.Sequential(nn.Linear(DIM, 2 * DIM), nn.ReLU(), nn.Dropout(0.1), nn.Linear(2 * DIM, DIM))

    def forward(self, id, tokens):  # [N], [N, T]
        count = (tokens > 0).sum(1, keepdim=True).clamp(min=1)  # an item may have no token
        x = self.ids(id) + self.tokens(tokens).sum(1) / count
        return nn.functional.normalize(x + self.mix(x), dim=-1)


class UserStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.kinds, self.gaps = nn.Embedding(len(KINDS) + 1, DIM), nn.Embedding(GAPS, DIM)
        self.gru, self.out = nn.GRUCell(DIM, HIDDEN), nn.Linear(HIDDEN, DIM)

    def forward(self, state, item, kind, gap):  # [N, HIDDEN], [N, DIM], [N], [N]
        state = self.gru(item + self.kinds(kind) + self.gaps(gap), state)
        return state, self.out(state)


def export(items, user, folder):
    N, T = Dim("N"), Dim("T")

    def rows(*shape):  # each input gets an example of its own: PyTorch takes inputs that share one for one input
        return torch.ones(shape, dtype=torch.int64)

    torch.onnx.export(
        items.eval(), (rows(2), rows(2, 2)), f"{folder}/items.onnx",
        input_names=["id", "tokens"], output_names=["vector"], dynamic_shapes=({0: N}, {0: N, 1: T}),
    )
    torch.onnx.export(
        user.eval(), (torch.zeros(2, HIDDEN), torch.zeros(2, DIM), rows(2), rows(2)), f"{folder}/user.onnx",
        input_names=["state", "item", "kind", "gap"], output_names=["next_state", "embedding"], dynamic_shapes=({0: N},) * 4,
    )
# --- the document's example ends

TESTDATA = Path(__file__).resolve().parents[2] / "services/towers/interchange/testdata/pytorch"


class DeepStep(nn.Module):
    """Two GRU layers that read items alone. PyTorch's own state is [layers, N, HIDDEN]; Freshet's has a row for each user."""

    def __init__(self):
        super().__init__()
        self.gru, self.norm = nn.GRU(DIM, HIDDEN, num_layers=2), nn.Linear(HIDDEN, DIM)

    def forward(self, state, item):  # [N, 2 HIDDEN], [N, DIM]
        before = state.unflatten(1, (2, HIDDEN)).transpose(0, 1).contiguous()
        out, after = self.gru(item.unsqueeze(0), before)
        return after.transpose(0, 1).flatten(1), self.norm(out.squeeze(0))


class GRUEncoder(nn.Module):
    """A GRU over whole histories of items alone, padded at their ends."""

    def __init__(self):
        super().__init__()
        self.gru, self.out = nn.GRU(DIM, HIDDEN, batch_first=True), nn.Linear(HIDDEN, DIM)

    def forward(self, items, lengths):  # [N, L, DIM], [N]
        out, _ = self.gru(items)
        return self.out(last(out, lengths))


class Transformer(nn.Module):
    """Attention over whole histories, their kinds and gaps, of PLACES events at the most."""

    PLACES = 12

    def __init__(self):
        super().__init__()
        self.kinds, self.gaps = nn.Embedding(len(KINDS) + 1, DIM), nn.Embedding(GAPS, DIM)
        self.places = nn.Embedding(self.PLACES, DIM)
        layer = nn.TransformerEncoderLayer(DIM, 2, 2 * DIM, dropout=0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, items, lengths, kinds, gaps):  # [N, L, DIM], [N], [N, L], [N, L]
        place = torch.arange(items.shape[1])
        later = torch.triu(torch.full((items.shape[1],) * 2, float("-inf")), diagonal=1)
        x = items + self.kinds(kinds) + self.gaps(gaps) + self.places(place)
        # A place that sees nobody gives NaN; with the later ones hidden, the first always sees itself.
        return last(self.layers(x, mask=later, is_causal=True), lengths)


def last(out, lengths):
    """What a layer gave at each history's last event."""
    return out[torch.arange(out.shape[0]), lengths - 1]


IDS = [f"p{n}" for n in range(1, 7)]
TOKENS = ["brand:oak", "category:coffee", "category:tea", "title:dark", "title:green", "title:no"]
ITEMS = [
    {"item_id": "p1", "title": "Green no 1", "categories": ["Tea"], "brand": "Oak"},
    {"item_id": "p2", "title": "Dark", "categories": ["Coffee"], "brand": ""},
    {"item_id": "p3", "title": "", "categories": ["Tea", "Coffee"], "brand": "Oak"},
    {"item_id": "p6", "title": "", "categories": [], "brand": ""},
    {"item_id": "new", "title": "Dark green", "categories": ["Tea"], "brand": "Elm"},
]
OTHERS = ["like"]  # none of KINDS


def tokens_of(item):
    """The rows of an item's tokens: services/towers/features.go says what they are."""
    tokens = [f"category:{c.lower()}" for c in item["categories"]] + [f"brand:{item['brand'].lower()}"]
    tokens += [f"title:{word}" for word in item["title"].lower().split()]
    return [TOKENS.index(t) + 1 for t in tokens if t in TOKENS]


def vectors_of(tower):
    rows = [tokens_of(item) for item in ITEMS]
    width = max(map(len, rows))
    ids = [IDS.index(i["item_id"]) + 1 if i["item_id"] in IDS else 0 for i in ITEMS]
    return tower(torch.tensor(ids), torch.tensor([r + [0] * (width - len(r)) for r in rows]))


def histories(lots):
    return [
        [{"item": lots.randrange(len(ITEMS)), "kind": lots.choice(KINDS + OTHERS), "gap": lots.randrange(GAPS)} for _ in range(n)]
        for n in (1, 4, 12, 15)
    ]


def inputs_of(history, vectors):
    """The items, kinds and gaps of a history, [1, L, …]."""
    row = {kind: at + 1 for at, kind in enumerate(KINDS)}
    return (
        torch.stack([vectors[e["item"]] for e in history])[None],
        torch.tensor([[row.get(e["kind"], 0) for e in history]]), torch.tensor([[e["gap"] for e in history]]),
    )


def by_steps(model, size):
    """The embeddings after each event of a history, and the last state."""

    def run(items, kinds, gaps):
        state, embeddings = torch.zeros(1, size), []
        for at in range(items.shape[1]):
            read = (kinds[:, at], gaps[:, at]) if isinstance(model, UserStep) else ()
            state, embedding = model(state, items[:, at], *read)
            embeddings.append(embedding[0])
        return embeddings, state[0]

    return run


def by_histories(model, longest=None):
    """The embeddings after each event of a history."""

    def run(items, kinds, gaps):
        embeddings = []
        for end in range(1, items.shape[1] + 1):
            begin = max(0, end - longest) if longest else 0
            read = (kinds[:, begin:end], gaps[:, begin:end]) if isinstance(model, Transformer) else ()
            embeddings.append(model(items[:, begin:end], torch.tensor([end - begin]), *read)[0])
        return embeddings, torch.zeros(0)

    return run


def write(file, model, example, inputs, outputs, free, exporters=("classic", "dynamo")):
    """Exports a model. free names the free axes of each input by their number."""
    options = {
        "classic": {"dynamic_axes": {**dict(zip(inputs, free)), **{o: {0: "N"} for o in outputs}}},
        "dynamo": {"dynamic_shapes": tuple({at: Dim(name) for at, name in f.items()} for f in free)},
    }
    for exporter in exporters:
        write_by(exporter, file, model, example, input_names=inputs, output_names=outputs, **options[exporter])


def write_by(exporter, file, model, example, **options):
    path = file.parent / exporter / file.name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the classic exporter being the older one
        torch.onnx.export(model, example, str(path), dynamo=exporter == "dynamo", verbose=False, **options)


def forget_where(file):
    """Drops from a model, after its export, which lines of which files its nodes come from: they are other ones on each machine."""
    model = onnx.load(file, load_external_data=False)
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        value.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    onnx.save(model, file)


def rows(*shape):
    """An example of rows: of its own for each input, see export."""
    return torch.ones(shape, dtype=torch.int64)


def main(folder):
    torch.manual_seed(1)
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)  # it has an operator of its own, which the classic exporter does not know
    items, step, deep, gru, transformer = [m.eval() for m in (
        ItemTower(len(IDS), len(TOKENS)), UserStep(), DeepStep(), GRUEncoder(), Transformer())]
    N, NL, NT, L = {0: "N"}, {0: "N", 1: "L"}, {0: "N", 1: "T"}, Transformer.PLACES

    for exporter in ("classic", "dynamo"):
        (folder / exporter).mkdir(parents=True, exist_ok=True)
    export(items, step, folder / "dynamo")
    write(folder / "items.onnx", items, (rows(2), rows(2, 2)), ["id", "tokens"], ["vector"], [N, NT], exporters=["classic"])
    names = ["state", "item", "kind", "gap"], ["next_state", "embedding"]
    example = (torch.zeros(2, HIDDEN), torch.zeros(2, DIM), rows(2), rows(2))
    write(folder / "user.onnx", step, example, *names, [N] * 4, exporters=["classic"])
    # What comes of leaving everything to the exporters, and of an old habit: names of theirs, one user at a time, weights as inputs.
    example = (torch.zeros(1, HIDDEN), torch.zeros(1, DIM), rows(1), rows(1))
    for exporter in ("classic", "dynamo"):
        write_by(exporter, folder / "bare.onnx", step, example, keep_initializers_as_inputs=True)
    names = ["serving/h.0", "serving/x:0"], ["h::1", "StatefulPartitionedCall:0"]  # freshet import onnx --port tells them
    write(folder / "deep.onnx", deep, (torch.zeros(2, 2 * HIDDEN), torch.zeros(2, DIM)), *names, [N, N])
    write(folder / "gru.onnx", gru, (torch.zeros(2, 5, DIM), rows(2)), ["items", "lengths"], ["embedding"], [NL, N])
    names = ["items", "lengths", "kinds", "gaps"], ["embedding"]
    write(folder / "transformer.onnx", transformer, (torch.zeros(2, L, DIM), rows(2), rows(2, L), rows(2, L)), *names, [N] * 4)
    for file in folder.glob("*/*.onnx"):
        forget_where(file)

    (folder / "vocabulary.json").write_text(json.dumps({"ids": IDS, "tokens": TOKENS}, indent=1) + "\n")
    vectors, asked = vectors_of(items), histories(random.Random(1))
    expected = {"items": [{**item, "vector": v.tolist()} for item, v in zip(ITEMS, vectors)], "histories": [], "towers": {}}
    for history in asked:
        expected["histories"].append([{"item_id": ITEMS[e["item"]]["item_id"], "kind": e["kind"], "gap": e["gap"]} for e in history])
    for name, run in {
        "user": by_steps(step, HIDDEN), "deep": by_steps(deep, 2 * HIDDEN),
        "gru": by_histories(gru), "transformer": by_histories(transformer, L),
    }.items():
        made = [run(*inputs_of(history, vectors)) for history in asked]
        expected["towers"][name] = [{"embeddings": [e.tolist() for e in es], "state": state.tolist()} for es, state in made]
    (folder / "expected.json").write_text(rounded(expected) + "\n")


def rounded(value):
    """JSON of nine digits, which say a float32 exactly."""
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {rounded(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + (",\n " if value and isinstance(value[0], (dict, list)) else ", ").join(map(rounded, value)) + "]"
    return json.dumps(value)


if __name__ == "__main__":
    with torch.no_grad():
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else TESTDATA)
