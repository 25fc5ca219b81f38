package mtls_test

import (
	"crypto/x509"
	"fmt"

	"github.com/headgate/gateway/policy/identity/mtls"
)

// Workloads of one SPIFFE trust domain.
func ExampleNew() {
	roots := x509.NewCertPool() // the trust domain's bundle
	_, err := mtls.New(mtls.Config{
		Roots: roots, Name: mtls.SPIFFE, TrustDomains: []string{"agents.example"}, Issuer: "spiffe://agents.example",
	})
	fmt.Println(err)
	// Output: <nil>
}
