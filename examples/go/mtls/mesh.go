package mtls

import (
	"crypto/tls"
	"fmt"
)

// MeshConfig is for clients that have no sidecar, of pods that have one. The server is known by the SPIFFE ID of its service account, as in
// spiffe://cluster.local/ns/shop/sa/web: certificates of sidecars have no DNS names.
func (i *Identity) MeshConfig(server string) *tls.Config {
	config := i.ClientConfig()
	// By this marker a sidecar tells the mesh's mutual TLS from TLS of the application behind it. It selects no protocol.
	config.NextProtos = []string{"mtls-operator"}
	// SNI goes over the wire in the clear: it is the same for all servers, and no name to verify any by.
	config.ServerName = "mesh"
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if err := i.verifyChain(state, ""); err != nil {
			return err
		}
		if uris := state.PeerCertificates[0].URIs; len(uris) != 1 || uris[0].String() != server {
			return fmt.Errorf("mtls: the certificate of the server is for %v, not for %s", uris, server)
		}
		return nil
	}
	return config
}
