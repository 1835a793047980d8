// A publisher of quiz answers by plain HTTP, with nothing but Go's standard library.
//
// Answers are sent in arrays, one request each. A request that fails is sent again with the same Idempotency-Key, so
// each answer counts once.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// Answers in a request: at 50,000 a second, 100 requests a second.
	batch = 500
	// A request is sent again for so long. The gateway remembers ids for 5 minutes.
	retryFor = 30 * time.Second
	// The first wait before another try; each later one is twice as long, up to the longest.
	firstWait, longestWait = 200 * time.Millisecond, 5 * time.Second
)

// Event is an event of the gateway, as far as this program needs one.
type Event struct {
	Data     any    `json:"data"`
	Type     string `json:"type,omitempty"`
	Key      string `json:"key,omitempty"`
	Merge    string `json:"merge,omitempty"`
	Priority string `json:"priority,omitempty"`
}

// Published is the gateway's answer.
type Published struct {
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"`
	Rejected   []struct {
		Index  int    `json:"index"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"rejected"`
}

// Publisher sends events to one channel.
type Publisher struct {
	client   http.Client
	endpoint string
	run      string
	requests int
}

// Publish sends events, and again where that can help: after no answer, 429 and 503.
func (p *Publisher) Publish(events []Event) (Published, error) {
	body, err := json.Marshal(events)
	if err != nil {
		return Published{}, err
	}
	p.requests++
	key := fmt.Sprintf("%s-%d", p.run, p.requests)
	deadline := time.Now().Add(retryFor)
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		published, retryAfter, err := p.try(body, key)
		if err == nil {
			return published, nil
		}
		if retryAfter < 0 || time.Now().Add(retryAfter).After(deadline) {
			return Published{}, err
		}
		time.Sleep(max(wait, retryAfter))
	}
}

// try sends a request once. A negative time means that sending it again does not help.
func (p *Publisher) try(body []byte, key string) (Published, time.Duration, error) {
	var published Published
	request, err := http.NewRequest(http.MethodPost, p.endpoint, bytes.NewReader(body))
	if err != nil {
		return published, -1, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	response, err := p.client.Do(request)
	if err != nil {
		return published, 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return published, 0, err
	}
	switch response.StatusCode {
	case http.StatusAccepted:
		return published, 0, json.Unmarshal(text, &published)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return published, time.Duration(seconds) * time.Second, fmt.Errorf("%s: %s", response.Status, text)
	default:
		return published, -1, fmt.Errorf("%s: %s", response.Status, text)
	}
}

func main() {
	address := flag.String("url", "http://127.0.0.1:8080", "the gateway")
	channel := flag.String("channel", "demo", "alias or ARN")
	rate := flag.Int("rate", 50_000, "answers a second")
	seconds := flag.Float64("seconds", 20, "how long")
	flag.Parse()

	began := time.Now()
	question := began.UnixMilli()
	publisher := Publisher{
		client:   http.Client{Timeout: 10 * time.Second},
		endpoint: *address + "/v1/channels/" + url.PathEscape(*channel) + "/events",
		run:      strconv.FormatInt(began.UnixNano(), 36),
	}
	key := fmt.Sprintf("answers:%d", question)
	total := int(float64(*rate) * *seconds)
	sent, accepted := map[string]int{}, 0
	for first := 0; first < total; first += batch {
		events := make([]Event, min(batch, total-first))
		for nth := range events {
			choice := string("ABCD"[rand.Intn(4)])
			sent[choice]++
			events[nth] = Event{Data: map[string]int{choice: 1}, Type: "quiz.answer", Key: key, Merge: "sum"}
		}
		published, err := publisher.Publish(events)
		if err != nil {
			log.Fatal(err)
		}
		for _, rejected := range published.Rejected {
			log.Printf("an answer was refused: %s: %s", rejected.Code, rejected.Detail)
		}
		accepted += published.Accepted + published.Duplicates
		time.Sleep(time.Until(began.Add(time.Duration(float64(first) / float64(*rate) * float64(time.Second)))))
	}
	// It has the key of the answers, so it leaves after all of them.
	closed := Event{Data: map[string]any{"question": question, "answers": total}, Type: "quiz.close", Key: key, Priority: "high"}
	if _, err := publisher.Publish([]Event{closed}); err != nil {
		log.Fatal(err)
	}
	answers, _ := json.Marshal(sent)
	fmt.Printf("%d of %d answers accepted in %.1f s: %s\n", accepted, total, time.Since(began).Seconds(), answers)
}
