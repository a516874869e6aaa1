package dataset

// department is a category of the synthetic shop.
type department struct {
	name   string
	price  float64 // typical, in euros
	minAge int32
	// goods are what a line of products has, in the order in which people come to need them.
	goods  []string
	brands []string
	use    string // ends "Made for …"
}

var departments = []department{
	{"Camping", 90, 0,
		[]string{"tent", "sleeping bag", "camping mat", "gas stove", "cook set", "headlamp", "cool box"},
		[]string{"Fjellvik", "Northcairn", "Tarn & Fell", "Basecamp Six"},
		"nights under the open sky"},
	{"Cycling", 60, 0,
		[]string{"helmet", "bike light set", "pannier", "cycling jersey", "repair kit", "bike computer", "winter gloves"},
		[]string{"Veloce", "Kettenwerk", "Northcairn", "Passo"},
		"long days in the saddle"},
	{"Running", 75, 0,
		[]string{"running shoes", "running socks", "running vest", "sports watch", "rain jacket", "recovery sandals"},
		[]string{"Stride", "Lopp", "Passo", "Kestrel"},
		"the first mile and the last"},
	{"Climbing", 80, 0,
		[]string{"climbing shoes", "chalk bag", "harness", "belay device", "rope", "quickdraw set", "bouldering pad"},
		[]string{"Gritstone", "Tarn & Fell", "Verticale", "Kestrel"},
		"rock, plastic and everything between"},
	{"Kitchen", 55, 0,
		[]string{"chef's knife", "chopping board", "frying pan", "casserole", "stand mixer", "roasting tin", "spice rack"},
		[]string{"Hearth & Hob", "Solvang", "Kupfer", "Casa Lina"},
		"cooks who cook every day"},
	{"Coffee", 70, 0,
		[]string{"hand grinder", "pour-over set", "gooseneck kettle", "espresso machine", "milk jug", "tamper", "coffee beans"},
		[]string{"Morgenrot", "Kupfer", "Altura", "Third Bell"},
		"the quiet quarter of an hour before the house wakes"},
	{"Gardening", 35, 0,
		[]string{"seed set", "trowel", "raised bed", "watering can", "pruning shears", "greenhouse", "bird feeder"},
		[]string{"Greenacre", "Solvang", "Hollyhock", "Old Orchard"},
		"gardens of any size"},
	{"Board games", 40, 0,
		[]string{"base game", "card sleeves", "first expansion", "second expansion", "legacy edition", "travel edition"},
		[]string{"Meeple House", "Grey Goblin", "Kleinspiel", "Lantern Games"},
		"evenings that go on longer than planned"},
	{"Crime novels", 14, 0,
		[]string{"volume one", "volume two", "volume three", "volume four", "volume five", "collected stories"},
		[]string{"Blackwharf Press", "Lantern Books", "Quayside", "Nordlys"},
		"readers who guess and are wrong"},
	{"Science fiction", 15, 0,
		[]string{"volume one", "volume two", "volume three", "prequel", "illustrated companion", "audiobook"},
		[]string{"Perihelion", "Lantern Books", "Far Shore", "Nordlys"},
		"readers who look up"},
	{"Audio", 180, 0,
		[]string{"headphones", "bookshelf speakers", "turntable", "phono preamp", "subwoofer", "streaming amplifier"},
		[]string{"Klangbad", "Altura", "Sable", "Wren"},
		"listening, and nothing else"},
	{"Photography", 220, 0,
		[]string{"compact camera", "prime lens", "tripod", "camera bag", "zoom lens", "flash", "filter set"},
		[]string{"Lumen", "Sable", "Obscura", "Kestrel"},
		"light as it is"},
	{"Wine", 65, 18,
		[]string{"tasting case", "white selection", "red selection", "decanter", "dessert wine", "cellar case"},
		[]string{"Domaine Rouvel", "Casa Lina", "Old Orchard", "Weingut Halm"},
		"the table, with friends"},
	{"Toys", 30, 0,
		[]string{"starter set", "vehicle set", "figures", "station set", "landscape set", "storage box"},
		[]string{"Klotz", "Kleinspiel", "Merry Fox", "Wren"},
		"floors that will not be tidy again"},
	{"Knitting", 25, 0,
		[]string{"needle set", "merino yarn", "pattern book", "row counter", "project bag", "blocking mats"},
		[]string{"Moorwool", "Hollyhock", "Casa Lina", "Lopp"},
		"hands that like to be busy"},
	{"Video games", 45, 16,
		[]string{"standard edition", "season pass", "art book", "soundtrack", "sequel", "deluxe edition"},
		[]string{"Grey Goblin", "Perihelion", "Red Anvil", "Far Shore"},
		"one more turn"},
}

// A line of products is called by one word of each list.
var (
	lineFirst = []string{
		"Silent", "Northern", "Amber", "Hidden", "Copper", "Winter", "Golden", "Crooked", "Distant", "Scarlet",
		"Hollow", "Velvet", "Iron", "Wandering", "Emerald", "Broken", "Morning", "Salt", "Paper", "Crystal", "Shallow",
		"Burning", "Quiet", "Ivory", "Second", "Last", "Open", "Blue", "Long", "Little", "High", "Lost",
	}
	lineSecond = []string{
		"Harbour", "Ridge", "Lantern", "Meadow", "Tide", "Compass", "Garden", "Signal", "Valley", "Mirror", "Orchard",
		"Bridge", "Comet", "Forest", "Anchor", "Summit", "River", "Feather", "Circle", "Island", "Thunder", "Willow",
		"Beacon", "Voyage", "Echo", "Stone", "Sparrow", "Horizon", "Ember", "Canyon", "Atlas", "Delta",
	}
	tagWords = []string{
		"bestseller", "gift idea", "handmade", "limited", "classic", "award winner", "new design", "small batch",
		"family business", "editor's choice",
	}
	regionNames = []string{"eu", "uk", "us", "apac"}
)
