package docs

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/spec"
)

// The parts of an AsyncAPI 3.0.0 document that the contract needs. Schemas are
// referred to where they are published, beside the document.
type (
	asyncDocument struct {
		AsyncAPI           string                    `json:"asyncapi"`
		Info               asyncInfo                 `json:"info"`
		DefaultContentType string                    `json:"defaultContentType"`
		Servers            map[string]asyncServer    `json:"servers"`
		Channels           map[string]asyncChannel   `json:"channels"`
		Operations         map[string]asyncOperation `json:"operations"`
		Components         asyncComponents           `json:"components"`
	}
	asyncInfo struct {
		Title       string       `json:"title"`
		Version     string       `json:"version"`
		Description string       `json:"description"`
		License     asyncLicence `json:"license"`
	}
	asyncLicence struct {
		Name string `json:"name"`
	}
	asyncServer struct {
		Host        string     `json:"host"`
		Protocol    string     `json:"protocol"`
		Description string     `json:"description"`
		Security    []asyncRef `json:"security"`
	}
	asyncChannel struct {
		Address     string              `json:"address"`
		Title       string              `json:"title"`
		Description string              `json:"description"`
		Messages    map[string]asyncRef `json:"messages"`
		Bindings    asyncBindings       `json:"bindings"`
	}
	asyncBindings struct {
		WS asyncWS `json:"ws"`
	}
	asyncWS struct {
		Method         string         `json:"method"`
		Query          jsontext.Value `json:"query"`
		BindingVersion string         `json:"bindingVersion"`
	}
	asyncOperation struct {
		Action   string      `json:"action"`
		Channel  asyncRef    `json:"channel"`
		Title    string      `json:"title"`
		Summary  string      `json:"summary"`
		Messages []asyncRef  `json:"messages"`
		Reply    *asyncReply `json:"reply,omitzero"`
	}
	asyncReply struct {
		Channel  asyncRef   `json:"channel"`
		Messages []asyncRef `json:"messages"`
	}
	asyncComponents struct {
		Messages        map[string]asyncMessage  `json:"messages"`
		SecuritySchemes map[string]asyncSecurity `json:"securitySchemes"`
	}
	asyncSecurity struct {
		Type        string `json:"type"`
		Name        string `json:"name"`
		In          string `json:"in"`
		Description string `json:"description"`
	}
	asyncMessage struct {
		Name        string         `json:"name"`
		Title       string         `json:"title"`
		Summary     string         `json:"summary"`
		ContentType string         `json:"contentType"`
		Payload     asyncPayload   `json:"payload"`
		Examples    []asyncExample `json:"examples,omitzero"`
	}
	asyncPayload struct {
		SchemaFormat string   `json:"schemaFormat"`
		Schema       asyncRef `json:"schema"`
	}
	asyncExample struct {
		Name    string         `json:"name"`
		Summary string         `json:"summary"`
		Payload jsontext.Value `json:"payload"`
	}
	asyncRef struct {
		Ref string `json:"$ref"`
	}
)

// asyncAPI describes version 1 of the contract for tools, from the gateway's side:
// it receives what tills send.
func (s *Site) asyncAPI() ([]byte, error) {
	key := asyncRef{"#/components/securitySchemes/key"}
	d := asyncDocument{
		AsyncAPI: "3.0.0",
		Info: asyncInfo{
			Title: "Connect WebSockets API, as Tillwire speaks it", Version: "1.0.0", License: asyncLicence{"Apache-2.0"},
			Description: "Tills (EPOS) and card terminals. One JSON-RPC 2.0 object in each text message; amounts are integers of minor units. " +
				"The response to a transaction alone decides whether money was taken.",
		},
		DefaultContentType: "application/json",
		Servers: map[string]asyncServer{
			"development": {Host: "127.0.0.1:8484", Protocol: "ws", Description: "tillwire serve --dev, with the key demo", Security: []asyncRef{key}},
		},
		Channels: map[string]asyncChannel{}, Operations: map[string]asyncOperation{},
		Components: asyncComponents{
			Messages: map[string]asyncMessage{},
			SecuritySchemes: map[string]asyncSecurity{
				"key": {Type: "httpApiKey", Name: "token", In: "query", Description: "The site's key, in the query of the address."},
			},
		},
	}
	for _, side := range []spec.Side{spec.PAC, spec.PAT} {
		query, err := asyncQuery(side)
		if err != nil {
			return nil, err
		}
		d.Channels[string(side)] = asyncChannel{
			Address: "/" + string(side), Title: sideTitles[side], Messages: map[string]asyncRef{},
			Description: "One WebSocket connection of a till. What it speaks stands in the query of its address.",
			Bindings:    asyncBindings{asyncWS{Method: "GET", Query: query, BindingVersion: "0.1.0"}},
		}
	}
	for _, m := range s.index.Messages() {
		channel := asyncRef{"#/channels/" + string(m.Side)}
		about, _ := firstParagraph(m.About)
		op := asyncOperation{Action: "send", Channel: channel, Title: m.Title, Summary: plain(firstSentence(about))}
		if m.Direction == spec.ToConnect {
			op.Action = "receive"
		}
		for _, sc := range m.Schemas {
			if sc.Version != spec.V1 {
				continue
			}
			name := string(m.Side) + "." + m.Name + "." + string(sc.Kind)
			message := asyncMessage{
				Name: name, Title: m.Title + ", " + string(sc.Kind), Summary: string(sc.Direction), ContentType: "application/json",
				Payload: asyncPayload{"application/schema+json;version=draft-04", asyncRef{"schemas/" + sc.Folder + "/" + sc.File}},
			}
			for _, e := range m.Examples {
				if e.Published && e.Valid && e.Version == spec.V1 && e.Kind == sc.Kind {
					message.Examples = append(message.Examples, asyncExample{e.Name, e.Title, e.Text})
				}
			}
			d.Components.Messages[name] = message
			d.Channels[string(m.Side)].Messages[name] = asyncRef{"#/components/messages/" + name}
			ref := asyncRef{channel.Ref + "/messages/" + name}
			if sc.Kind == spec.KindResponse {
				op.Reply = &asyncReply{Channel: channel, Messages: []asyncRef{ref, {channel.Ref + "/messages/" + string(m.Side) + ".errorMessage.error"}}}
			} else {
				op.Messages = append(op.Messages, ref)
			}
		}
		d.Operations[string(m.Side)+"."+m.Name] = op
	}
	return json.Marshal(d, json.Deterministic(true), jsontext.WithIndent("  "))
}

// asyncQuery is the schema of an address's query.
func asyncQuery(side spec.Side) (jsontext.Value, error) {
	type text struct {
		Type        string   `json:"type"`
		Description string   `json:"description"`
		Enum        []string `json:"enum,omitzero"`
		MinLength   int      `json:"minLength,omitzero"`
		MaxLength   int      `json:"maxLength,omitzero"`
	}
	properties := map[string]text{
		"token":             {Type: "string", Description: "The site's key."},
		"api-version":       {Type: "string", Enum: []string{spec.V1}, Description: "The version of the contract."},
		"software-house-id": {Type: "string", MinLength: 1, MaxLength: 64, Description: "Fixed in the till's software."},
		"installer-id":      {Type: "string", MinLength: 1, MaxLength: 64, Description: "A setting of the till."},
		"extensions":        {Type: "string", Description: "Names of extensions with commas between."},
	}
	if side == spec.PAT {
		properties["final-pos-receipt-request"] = text{Type: "string", Description: "There or not: asks for the final receipt."}
	}
	return json.Marshal(map[string]any{
		"type": "object", "properties": properties,
		"required": []string{"token", "api-version", "software-house-id", "installer-id"},
	}, json.Deterministic(true))
}
