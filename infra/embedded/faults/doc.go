// Package faults decides which call of an embedded server fails, waits or loses its connection. A test writes down the script
// ("the third Upsert fails"), the server asks before it handles a call. It imports nothing of the project.
package faults
