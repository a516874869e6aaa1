package telemetry

import (
	_ "github.com/Shopify/toxiproxy/v2"
)
