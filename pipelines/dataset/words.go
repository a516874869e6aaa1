package dataset

// department is a category of the synthetic shop.
type department struct {
	name string
	// goods are what a line of products has, in the order in which people come to need them.
	goods  []string
	price  float64 // typical, in euros
	minAge int32
	brands []string
	use    string // ends "Made for …"
}

var departments = []department{
	{"Camping", []string{"tent", "sleeping bag", "camping mat", "gas stove", "cook set", "headlamp", "cool box"}, 90, 0,
		[]string{"Fjellvik", "Northcairn", "Tarn & Fell", "Basecamp Six"}, "nights under the open sky"},
	{"Cycling", []string{"helmet", "bike light set", "pannier", "cycling jersey", "repair kit", "bike computer", "winter gloves"}, 60, 0,
		[]string{"Veloce", "Kettenwerk", "Northcairn", "Passo"}, "long days in the saddle"},
	{"Running", []string{"running shoes", "running socks", "running vest", "sports watch", "rain jacket", "recovery sandals"}, 75, 0,
		[]string{"Stride", "Lopp", "Passo", "Kestrel"}, "the first mile and the last"},
	{"Climbing", []string{"climbing shoes", "chalk bag", "harness", "belay device", "rope", "quickdraw set", "bouldering pad"}, 80, 0,
		[]string{"Gritstone", "Tarn & Fell", "Verticale", "Kestrel"}, "rock, plastic and everything between"},
	{"Kitchen", []string{"chef's knife", "chopping board", "frying pan", "casserole", "stand mixer", "roasting tin", "spice rack"}, 55, 0,
		[]string{"Hearth & Hob", "Solvang", "Kupfer", "Casa Lina"}, "cooks who cook every day"},
	{"Coffee", []string{"hand grinder", "pour-over set", "gooseneck kettle", "espresso machine", "milk jug", "tamper", "coffee beans"}, 70, 0,
		[]string{"Morgenrot", "Kupfer", "Altura", "Third Bell"}, "the quiet quarter of an hour before the house wakes"},
	{"Gardening", []string{"seed set", "trowel", "raised bed", "watering can", "pruning shears", "greenhouse", "bird feeder"}, 35, 0,
		[]string{"Greenacre", "Solvang", "Hollyhock", "Old Orchard"}, "gardens of any size"},
	{"Board games", []string{"base game", "card sleeves", "first expansion", "second expansion", "legacy edition", "travel edition"}, 40, 0,
		[]string{"Meeple House", "Grey Goblin", "Kleinspiel", "Lantern Games"}, "evenings that go on longer than planned"},
	{"Crime novels", []string{"volume one", "volume two", "volume three", "volume four", "volume five", "collected stories"}, 14, 0,
		[]string{"Blackwharf Press", "Lantern Books", "Quayside", "Nordlys"}, "readers who guess and are wrong"},
	{"Science fiction", []string{"volume one", "volume two", "volume three", "prequel", "illustrated companion", "audiobook"}, 15, 0,
		[]string{"Perihelion", "Lantern Books", "Far Shore", "Nordlys"}, "readers who look up"},
	{"Audio", []string{"headphones", "bookshelf speakers", "turntable", "phono preamp", "subwoofer", "streaming amplifier"}, 180, 0,
		[]string{"Klangbad", "Altura", "Sable", "Wren"}, "listening, and nothing else"},
	{"Photography", []string{"compact camera", "prime lens", "tripod", "camera bag", "zoom lens", "flash", "filter set"}, 220, 0,
		[]string{"Lumen", "Sable", "Obscura", "Kestrel"}, "light as it is"},
	{"Wine", []string{"tasting case", "white selection", "red selection", "decanter", "dessert wine", "cellar case"}, 65, 18,
		[]string{"Domaine Rouvel", "Casa Lina", "Old Orchard", "Weingut Halm"}, "the table, with friends"},
	{"Toys", []string{"starter set", "vehicle set", "figures", "station set", "landscape set", "storage box"}, 30, 0,
		[]string{"Klotz", "Kleinspiel", "Merry Fox", "Wren"}, "floors that will not be tidy again"},
	{"Knitting", []string{"needle set", "merino yarn", "pattern book", "row counter", "project bag", "blocking mats"}, 25, 0,
		[]string{"Moorwool", "Hollyhock", "Casa Lina", "Lopp"}, "hands that like to be busy"},
	{"Video games", []string{"standard edition", "season pass", "art book", "soundtrack", "sequel", "deluxe edition"}, 45, 16,
		[]string{"Grey Goblin", "Perihelion", "Red Anvil", "Far Shore"}, "one more turn"},
}

// A line of products is called by one word of each list.
var (
	lineFirst = []string{"Silent", "Northern", "Amber", "Hidden", "Copper", "Winter", "Golden", "Crooked", "Distant", "Scarlet", "Hollow", "Velvet",
		"Iron", "Wandering", "Emerald", "Broken", "Morning", "Salt", "Paper", "Crystal", "Shallow", "Burning", "Quiet", "Ivory", "Second", "Last",
		"Open", "Blue", "Long", "Little", "High", "Lost"}
	lineSecond = []string{"Harbour", "Ridge", "Lantern", "Meadow", "Tide", "Compass", "Garden", "Signal", "Valley", "Mirror", "Orchard", "Bridge",
		"Comet", "Forest", "Anchor", "Summit", "River", "Feather", "Circle", "Island", "Thunder", "Willow", "Beacon", "Voyage", "Echo", "Stone",
		"Sparrow", "Horizon", "Ember", "Canyon", "Atlas", "Delta"}
	tagWords = []string{"bestseller", "gift idea", "handmade", "limited", "classic", "award winner", "new design", "small batch",
		"family business", "editor's choice"}
	regionNames = []string{"eu", "uk", "us", "apac"}
)
