module github.com/headgate/gateway/mask/re2

go 1.26.0

replace github.com/headgate/gateway => ../../

require (
	github.com/headgate/gateway v0.0.0-00010101000000-000000000000
	github.com/wasilibs/go-re2 v1.10.0
)

require (
	github.com/tetratelabs/wazero v1.12.0 // indirect
	github.com/wasilibs/wazero-helpers v0.0.0-20250123031827-cd30c44769bb // indirect
	golang.org/x/sys v0.49.0 // indirect
)
