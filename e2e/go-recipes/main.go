// Checks the recipes of deploy/ with the libraries of Kubernetes, Kustomize and Cloud Run, and prints their objects as JSON.
// An unknown or misspelled member is an error.
//
//	go-recipes kubernetes FOLDER    builds a kustomization, and evaluates its pods by the restricted pod security standard
//	go-recipes cloud-run FILE       reads a service of Cloud Run
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	cloudrun "google.golang.org/api/run/v1"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(kind, path string) error {
	var objects []any
	var err error
	switch kind {
	case "kubernetes":
		objects, err = kubernetes(path)
	case "cloud-run":
		objects, err = service(path)
	default:
		err = fmt.Errorf("unknown kind %q", kind)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(objects)
}

func kubernetes(folder string) ([]any, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, err
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	var objects []any
	var problems []error
	for _, resource := range built.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			return nil, err
		}
		object, _, err := decoder.Decode(text, nil, nil)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s %s: %w", resource.GetKind(), resource.GetName(), err))
			continue
		}
		problems = append(problems, restricted(object))
		objects = append(objects, object)
	}
	return objects, errors.Join(problems...)
}

// restricted returns what the restricted pod security standard forbids.
func restricted(object runtime.Object) error {
	deployment, ok := object.(*appsv1.Deployment)
	if !ok {
		return nil
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	pod := deployment.Spec.Template
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
	if result.Allowed {
		return nil
	}
	return fmt.Errorf("Deployment %s is not restricted: %s", deployment.Name, result.ForbiddenDetail())
}

func service(file string) ([]any, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if text, err = yaml.YAMLToJSONStrict(text); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var service cloudrun.Service
	err = decoder.Decode(&service)
	return []any{service}, err
}
