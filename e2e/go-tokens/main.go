// Signs the claims on standard input with LiveKit's Go library, and prints the token.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/livekit/protocol/auth"
)

func main() {
	var grants auth.ClaimGrants
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&grants); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	token := auth.NewAccessToken("devkey", "secret")
	*token.GetGrants() = grants
	signed, err := token.ToJWT()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(signed)
}
