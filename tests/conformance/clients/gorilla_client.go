// The scenario that all clients here go through, with gorilla/websocket.
//
//	gorilla_client HOST:PORT
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const (
	timeout        = 10 * time.Second
	clockTolerance = 10 * time.Minute
	topic          = "clients.gorilla"
	wrongEpoch     = "0000000000000000"
)

// ws://HOST:PORT, or wss://HOST:PORT.
var origin = os.Args[1]

// fields are those of a command to send, or of a notification as it must be. A nil field must be absent.
type fields map[string]any

// must ends the run: the scenario is over at the first thing that is not as it must be.
func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func equal(got, wanted any, what string) {
	if !reflect.DeepEqual(got, wanted) {
		log.Fatalf("%s: got %#v, wanted %#v", what, got, wanted)
	}
}

// normal gives numbers and lists the types that decoded JSON has.
func normal(value any) any {
	text, err := json.Marshal(value)
	must(err)
	var decoded any
	must(json.Unmarshal(text, &decoded))
	return decoded
}

func dial(path string, protocols ...string) (*websocket.Conn, *http.Response) {
	dialer := websocket.Dialer{HandshakeTimeout: timeout, Subprotocols: protocols, EnableCompression: true}
	socket, response, err := dialer.Dial(origin+path, nil)
	must(err)
	if extensions := response.Header.Get("Sec-WebSocket-Extensions"); !strings.Contains(extensions, "permessage-deflate") {
		log.Fatalf("compression was offered, and the answer is %q", extensions)
	}
	return socket, response
}

func receive(socket *websocket.Conn) (int, []byte) {
	must(socket.SetReadDeadline(time.Now().Add(timeout)))
	kind, payload, err := socket.ReadMessage()
	must(err)
	return kind, payload
}

// leave starts the close handshake; the next thing to come must be the broker's answer.
func leave(socket *websocket.Conn) {
	farewell := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "done")
	must(socket.WriteControl(websocket.CloseMessage, farewell, time.Now().Add(timeout)))
	must(socket.SetReadDeadline(time.Now().Add(timeout)))
	_, payload, err := socket.ReadMessage()
	if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		log.Fatalf("instead of a close with 1000: %q, %v", payload, err)
	}
	must(socket.Close())
}

// session is a connection to the JSON interface. Notifications of a type keep their order; those that
// nobody has asked for yet wait.
type session struct {
	socket  *websocket.Conn
	waiting []fields
	epoch   string
}

func open() *session {
	socket, _ := dial("/v1/ws", "fanwire.v1.json")
	equal(socket.Subprotocol(), "fanwire.v1.json", "subprotocol")
	s := &session{socket: socket}
	s.epoch = s.expect("welcome", nil)["epoch"].(string)
	return s
}

func (s *session) send(command fields) {
	must(s.socket.SetWriteDeadline(time.Now().Add(timeout)))
	must(s.socket.WriteJSON(command))
}

// expect is the next notification of this type, which must have these fields.
func (s *session) expect(kind string, wanted fields) fields {
	notification := s.next(kind)
	for name, value := range wanted {
		equal(notification[name], normal(value), fmt.Sprintf("%s of %v", name, notification))
	}
	return notification
}

func (s *session) next(kind string) fields {
	for i, notification := range s.waiting {
		if notification["type"] == kind {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			return notification
		}
	}
	for {
		_, payload := receive(s.socket)
		var notification fields
		must(json.Unmarshal(payload, &notification))
		if notification["type"] == kind {
			return notification
		}
		s.waiting = append(s.waiting, notification)
	}
}

func (s *session) publish(offset int, command fields) {
	command["type"] = "publish"
	command["topic"] = topic
	s.send(command)
	s.expect("published", fields{"id": command["id"], "topic": topic, "epoch": s.epoch, "offset": offset})
}

// leave closes cleanly, with nothing unexpected left behind.
func (s *session) leave() {
	s.send(fields{"type": "ping", "id": "last"})
	s.expect("pong", fields{"id": "last"})
	equal(len(s.waiting), 0, fmt.Sprintf("notifications that nobody asked for: %v", s.waiting))
	leave(s.socket)
}

// publishAndSubscribe returns the epoch, and the offset at which the topic started.
func publishAndSubscribe() (string, int) {
	s := open()
	s.send(fields{"type": "subscribe", "id": 1, "topic": topic})
	subscribed := s.expect("subscribed", fields{"id": 1, "topic": topic, "epoch": s.epoch})
	start := int(subscribed["offset"].(float64))
	data := fields{"n": 1, "text": "grüße ☃"}
	s.publish(start+1, fields{"id": "two", "key": "k1", "data": data})
	message := s.expect("message", fields{"topic": topic, "offset": start + 1, "key": "k1", "data": data})
	if age := time.Since(time.UnixMilli(int64(message["time"].(float64)))).Abs(); age > clockTolerance {
		log.Fatalf("the time of %v is not now", message)
	}
	s.publish(start+2, fields{"id": 3, "data": "not for me", "echo": false})
	long := strings.Repeat("fan", 2000)
	s.publish(start+3, fields{"id": 4, "data": long})
	s.expect("message", fields{"offset": start + 3, "data": long})
	s.leave()
	return s.epoch, start
}

func recoverMissed(epoch string, start int) {
	publisher := open()
	publisher.publish(start+4, fields{"id": 1, "data": "☃"})
	publisher.publish(start+5, fields{"id": 2, "data": "AAH/", "encoding": "base64"})
	publisher.publish(start+6, fields{"id": 3, "data": []int{1, 2, 3}})

	s := open()
	since := fields{"epoch": epoch, "offset": start + 3}
	s.send(fields{"type": "subscribe", "id": 1, "topic": topic, "since": since})
	s.expect("subscribed", fields{"id": 1, "topic": topic, "epoch": epoch, "offset": start + 3, "recovered": true})
	s.expect("message", fields{"offset": start + 4, "data": "☃", "encoding": nil})
	s.expect("message", fields{"offset": start + 5, "data": "AAH/", "encoding": "base64"})
	s.expect("message", fields{"offset": start + 6, "data": []int{1, 2, 3}})
	publisher.publish(start+7, fields{"id": 4, "data": "live"})
	s.expect("message", fields{"offset": start + 7, "data": "live"})
	publisher.leave()
	s.leave()
}

func recoverFromAnotherEpoch(start int) {
	s := open()
	since := fields{"epoch": wrongEpoch, "offset": start + 3}
	s.send(fields{"type": "subscribe", "id": 1, "topic": topic, "since": since})
	s.expect("subscribed", fields{"id": 1, "topic": topic, "epoch": s.epoch, "recovered": false})
	for offset := start + 1; offset <= start+7; offset++ {
		s.expect("message", fields{"offset": offset})
	}
	s.send(fields{"type": "unsubscribe", "id": 2, "topic": topic})
	s.expect("unsubscribed", fields{"id": 2, "topic": topic})
	s.leave()
}

func raw(epoch string) {
	path := "/topics/" + topic + ".raw"
	messages := []struct {
		kind    int
		payload string
	}{
		{websocket.TextMessage, "hello ☃"},
		{websocket.BinaryMessage, "\x00\x01\xff"},
		{websocket.TextMessage, strings.Repeat("raw", 2000)},
	}
	one, response := dial(path, "fanwire.v1.raw")
	equal(one.Subprotocol(), "fanwire.v1.raw", "subprotocol")
	equal(response.Header.Get("Fanwire-Epoch"), epoch, "Fanwire-Epoch")
	two, _ := dial(path)
	for _, message := range messages {
		must(one.WriteMessage(message.kind, []byte(message.payload)))
		for _, socket := range []*websocket.Conn{one, two} {
			kind, payload := receive(socket)
			equal(kind, message.kind, "kind")
			equal(string(payload), message.payload, "payload")
		}
	}
	late, _ := dial(path + "?since=earliest")
	for _, message := range messages {
		kind, payload := receive(late)
		equal(kind, message.kind, "kind in the history")
		equal(string(payload), message.payload, "payload in the history")
	}
	for _, socket := range []*websocket.Conn{one, two, late} {
		leave(socket)
	}
}

func main() {
	log.SetFlags(log.Lshortfile)
	epoch, start := publishAndSubscribe()
	fmt.Println("ok  publish and subscribe, then a clean close")
	recoverMissed(epoch, start)
	fmt.Println("ok  recover exactly what was missed")
	recoverFromAnotherEpoch(start)
	fmt.Println("ok  another epoch is not recovered")
	raw(epoch)
	fmt.Println("ok  raw: publish, subscribe, catch up, close")
	fmt.Println("4 steps ok")
}
