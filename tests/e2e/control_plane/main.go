// A configuration server for tests, made of go-control-plane, the library of Envoy Gateway.
//
// It serves the RateLimitConfigs in the *.json files of a folder, each state of the folder as a version of its own:
//
//	control_plane -folder FOLDER -node ID [-listen ADDR] [-cert FILE -key FILE -ca FILE]
//
// Without the folder nothing is sent; an empty folder is a configuration without resources. With a certificate, clients
// need one of the same authority. What happens is on stderr, one JSON object per line.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	ratelimit "github.com/envoyproxy/go-control-plane/ratelimit/config/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/encoding/protojson"
)

type options struct {
	folder, node, listen, cert, key, ca string
}

func main() {
	var o options
	flag.StringVar(&o.folder, "folder", "", "folder of the configurations")
	flag.StringVar(&o.node, "node", "", "ID of the only node that is answered")
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "address")
	flag.StringVar(&o.cert, "cert", "", "certificate, read for each connection")
	flag.StringVar(&o.key, "key", "", "its key")
	flag.StringVar(&o.ca, "ca", "", "authority of clients")
	flag.Parse()
	if err := run(o); err != nil {
		log.Fatal(err)
	}
}

func run(o options) error {
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	var grpcOptions []grpc.ServerOption
	if o.cert != "" {
		config := &tls.Config{
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return tlsConfig(o) },
		}
		grpcOptions = append(grpcOptions, grpc.Creds(credentials.NewTLS(config)))
	}
	snapshots := cache.NewSnapshotCache(false, cache.IDHash{}, nil)
	grpcServer := grpc.NewServer(grpcOptions...)
	discovery.RegisterAggregatedDiscoveryServiceServer(
		grpcServer, server.NewServer(context.Background(), snapshots, callbacks()))
	go follow(o, snapshots)
	report(map[string]any{"event": "listening", "address": listener.Addr().String()})
	return grpcServer.Serve(listener)
}

func tlsConfig(o options) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(o.ca)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(pem)
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		NextProtos:   []string{"h2"},
		MinVersion:   tls.VersionTLS13,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    authorities,
	}, nil
}

func callbacks() server.CallbackFuncs {
	return server.CallbackFuncs{
		StreamRequestFunc: func(stream int64, r *discovery.DiscoveryRequest) error {
			report(map[string]any{
				"event": "request", "stream": stream, "node": r.GetNode().GetId(), "version": r.GetVersionInfo(),
				"nonce": r.GetResponseNonce(), "error": r.GetErrorDetail().GetMessage(),
			})
			return nil
		},
		StreamResponseFunc: func(_ context.Context, stream int64, _ *discovery.DiscoveryRequest, r *discovery.DiscoveryResponse) {
			report(map[string]any{
				"event": "response", "stream": stream, "version": r.GetVersionInfo(), "nonce": r.GetNonce(),
				"resources": len(r.GetResources()),
			})
		},
	}
}

// follow makes a snapshot of each state of the folder.
func follow(o options, snapshots cache.SnapshotCache) {
	var last []byte
	for version := 0; ; time.Sleep(50 * time.Millisecond) {
		configs, state, err := read(o.folder)
		// A file that is being written is read again.
		if err != nil || (version > 0 && bytes.Equal(state, last)) {
			continue
		}
		last = state
		version++
		byType := map[resource.Type][]types.Resource{resource.RateLimitConfigType: configs}
		snapshot, err := cache.NewSnapshot(strconv.Itoa(version), byType)
		if err == nil {
			err = snapshots.SetSnapshot(context.Background(), o.node, snapshot)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

// read returns the configurations in a folder, and everything that was read.
func read(folder string) ([]types.Resource, []byte, error) {
	if _, err := os.Stat(folder); err != nil {
		return nil, nil, err
	}
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, nil, err
	}
	var configs []types.Resource
	var state bytes.Buffer
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		config := new(ratelimit.RateLimitConfig)
		if err := protojson.Unmarshal(text, config); err != nil {
			return nil, nil, err
		}
		configs = append(configs, config)
		fmt.Fprintf(&state, "%s\x00%s\x00", path, text)
	}
	return configs, state.Bytes(), nil
}

func report(event map[string]any) {
	// Maps with these values are always encoded.
	line, _ := json.Marshal(event)
	os.Stderr.Write(append(line, '\n'))
}
