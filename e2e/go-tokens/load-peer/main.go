// A token server as LiveKit's documentation shows it, with the Go library and without authentication. It is a peer for the
// load.
package main

import (
	"crypto/rand"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/livekit/protocol/auth"
)

type request struct {
	RoomName        string `json:"room_name"`
	ParticipantName string `json:"participant_name"`
}

func main() {
	http.HandleFunc("POST /getToken", func(w http.ResponseWriter, r *http.Request) {
		var asked request
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		token, err := auth.NewAccessToken(os.Getenv("LIVEKIT_API_KEY"), os.Getenv("LIVEKIT_API_SECRET")).
			SetIdentity("user-" + rand.Text()).
			SetName(asked.ParticipantName).
			SetValidFor(10 * time.Minute).
			SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: asked.RoomName}).
			ToJWT()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]string{
			"server_url":        os.Getenv("LIVEKIT_URL"),
			"participant_token": token,
		})
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
