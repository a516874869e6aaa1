package local

// registryPath is where Apicurio speaks Confluent's protocol.
const registryPath = "/apis/ccompat/v7"
