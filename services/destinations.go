package services

// The destinations of each service. src: sourcegraph/docs: self-hosted/private-network (who calls out); what a line adds has its own source.

func codeHosts(what string) Destination {
	return Destination{To: "code hosts", What: what, Off: "connect only code hosts of the site's own network"}
}

// siteStore is an address only while the site names it.
func siteStore() Destination {
	return Destination{To: "object_storage of this configuration", What: "uploads", Off: "the bundled store, which is there unless the site says otherwise"}
}

// licence is the check that a licence which is not made for it cannot do without.
func licence() Destination {
	return Destination{
		To: "sourcegraph.com", What: "the licence is checked", In: between("5.0", ""),
		Off: "a licence for air-gapped use; no setting does it",
	}
}

func frontendDestinations() []Destination {
	return []Destination{
		{To: "identity providers", What: "people sign in", Off: "auth.providers in the site configuration: builtin"},
		codeHosts("a connection is tried out"),
		{
			To: "sourcegraph.com", What: "it asks for a newer version, and sends figures of use",
			// src: sourcegraph: cmd/frontend/internal/app/updatecheck/client.go @3.38 (it ends at once unless the channel is release)
			Off: `update.channel in the site configuration: "none"; offline sets OFFLINE`, Env: map[string]string{"OFFLINE": "true"},
		},
		{To: "language models", What: "Cody answers", Off: "cody.enabled in the site configuration: false", In: between("5.0", "")},
		{To: "the mail server", What: "invitations, alerts, new passwords", Off: "email.smtp in the site configuration, which is empty at first"},
		siteStore(), licence(),
	}
}

func workerDestinations() []Destination {
	return []Destination{
		codeHosts("permissions, batch changes; from 6.4 on the lists of repositories, too"),
		{To: "receivers of webhooks", What: "events that administrators and monitors subscribed to", Off: "no webhook"},
		{
			To: "telemetry-gateway.sourcegraph.com", What: "figures of use", Off: "offline",
			// An empty address ends the export. src: sourcegraph-public-snapshot: cmd/worker/internal/telemetrygatewayexporter/config.go
			Env: map[string]string{"TELEMETRY_GATEWAY_EXPORTER_EXPORT_ADDR": ""}, In: between("5.2", ""),
		},
		siteStore(), licence(),
	}
}

func grafanaDestinations() []Destination {
	return []Destination{{
		To: "grafana.com", What: "news and newer plug-ins; its other calls are off in any case", Off: "offline",
		// src: Grafana: "Configure Grafana" (analytics, news)
		Env: map[string]string{"GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false", "GF_NEWS_NEWS_FEED_ENABLED": "false"},
	}}
}

func executorDestinations() []Destination {
	return []Destination{
		{To: "container registries", What: "images of the steps of a job", Off: "docker-mirror, or images that are on the machine"},
		{To: "anything", What: "what the steps of a job do", Off: "no executor"},
	}
}
