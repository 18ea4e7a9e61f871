package main

import (
	"fmt"
	"maps"
	"slices"
	"sort"

	"github.com/mattfenwick/cyclonus/pkg/connectivity/probe"
	"github.com/mattfenwick/cyclonus/pkg/generator"
	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

type labels = map[string]string

type port struct {
	// Empty: it has none.
	Name     string          `json:"name"`
	Port     int             `json:"port"`
	Protocol corev1.Protocol `json:"protocol"`
}

type pod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Labels    labels `json:"labels"`
	// One for each table that is asked for, in the same order for all pods.
	IPs   []string `json:"ips"`
	Ports []port   `json:"ports"`
}

// What there is; never changed in place.
type cluster struct {
	Namespaces map[string]labels             `json:"namespaces"`
	Pods       []pod                         `json:"pods"`
	Policies   []*networkingv1.NetworkPolicy `json:"policies"`
	// The address that test cases make blocks around.
	Block string `json:"block,omitempty"`
	// Addresses of pods that test cases make, by "namespace/name".
	Spare map[string][]string `json:"spare,omitempty"`
}

func (c *cluster) namespaceNames() []string {
	names := slices.Collect(maps.Keys(c.Namespaces))
	sort.Strings(names)
	return names
}

func (c *cluster) after(actions []*generator.Action) (*cluster, error) {
	next := &cluster{maps.Clone(c.Namespaces), slices.Clone(c.Pods), slices.Clone(c.Policies), "", c.Spare}
	for _, action := range actions {
		if err := next.apply(action); err != nil {
			return nil, err
		}
	}
	return next, nil
}

func (c *cluster) apply(action *generator.Action) error {
	switch {
	case action.CreatePolicy != nil:
		c.Policies = append(c.Policies, typed(action.CreatePolicy.Policy))
	case action.UpdatePolicy != nil:
		policy := action.UpdatePolicy.Policy
		at := c.policyAt(policy.Namespace, policy.Name)
		if at < 0 {
			return fmt.Errorf("no policy %s/%s to update", policy.Namespace, policy.Name)
		}
		c.Policies[at] = typed(policy)
	case action.DeletePolicy != nil:
		at := c.policyAt(action.DeletePolicy.Namespace, action.DeletePolicy.Name)
		if at < 0 {
			return fmt.Errorf("no policy %s/%s to delete", action.DeletePolicy.Namespace, action.DeletePolicy.Name)
		}
		c.Policies = slices.Delete(c.Policies, at, at+1)
	case action.CreateNamespace != nil:
		c.setNamespace(action.CreateNamespace.Namespace, action.CreateNamespace.Labels)
	case action.SetNamespaceLabels != nil:
		c.setNamespace(action.SetNamespaceLabels.Namespace, action.SetNamespaceLabels.Labels)
	case action.DeleteNamespace != nil:
		name := action.DeleteNamespace.Namespace
		delete(c.Namespaces, name)
		c.Pods = slices.DeleteFunc(c.Pods, func(p pod) bool { return p.Namespace == name })
	case action.CreatePod != nil:
		return c.createPod(action.CreatePod)
	case action.SetPodLabels != nil:
		at := c.podAt(action.SetPodLabels.Namespace, action.SetPodLabels.Pod)
		if at < 0 {
			return fmt.Errorf("no pod %s/%s to label", action.SetPodLabels.Namespace, action.SetPodLabels.Pod)
		}
		c.Pods[at].Labels = action.SetPodLabels.Labels
	case action.DeletePod != nil:
		at := c.podAt(action.DeletePod.Namespace, action.DeletePod.Pod)
		if at < 0 {
			return fmt.Errorf("no pod %s/%s to delete", action.DeletePod.Namespace, action.DeletePod.Pod)
		}
		c.Pods = slices.Delete(c.Pods, at, at+1)
	default:
		return fmt.Errorf("unknown action %+v", action)
	}
	return nil
}

// The API server labels every namespace with its name.
func (c *cluster) setNamespace(name string, given labels) {
	c.Namespaces[name] = maps.Clone(given)
	c.Namespaces[name][corev1.LabelMetadataName] = name
}

func (c *cluster) createPod(action *generator.CreatePodAction) error {
	name := action.Namespace + "/" + action.Pod
	ips := c.Spare[name]
	if len(ips) == 0 {
		return fmt.Errorf("no spare address for pod %s", name)
	}
	c.Pods = append(c.Pods, pod{action.Namespace, action.Pod, action.Labels, ips, c.Pods[0].Ports})
	return nil
}

func (c *cluster) policyAt(namespace, name string) int {
	return slices.IndexFunc(c.Policies, func(p *networkingv1.NetworkPolicy) bool {
		return p.Namespace == namespace && p.Name == name
	})
}

func (c *cluster) podAt(namespace, name string) int {
	return slices.IndexFunc(c.Pods, func(p pod) bool { return p.Namespace == namespace && p.Name == name })
}

// Every pod to every port of every other, as Cyclonus' simulated runner judges it; the runner itself also makes text of every
// cell, which takes a hundred times longer. What a pod says to itself is nobody's rule.
func (c *cluster) denied() [][]string {
	policies := make([]*networkingv1.NetworkPolicy, len(c.Policies))
	for i, policy := range c.Policies {
		policies[i] = defaulted(policy)
	}
	judge := matcher.BuildNetworkPolicies(true, policies)
	var tables [][]string
	for family := range c.Pods[0].IPs {
		jobs := (&probe.JobBuilder{}).GetJobsAllAvailableServers(c.resources(family), generator.ProbeModePodIP)
		denied := []string{}
		for _, job := range jobs.Valid {
			if job.FromKey != job.ToKey && !judge.IsTrafficAllowed(job.Traffic()).IsAllowed() {
				denied = append(denied, fmt.Sprintf("%s %s %s %d", job.FromKey, job.ToKey, job.Protocol, job.ResolvedPort))
			}
		}
		sort.Strings(denied)
		tables = append(tables, denied)
	}
	return tables
}

func (c *cluster) resources(family int) *probe.Resources {
	resources := &probe.Resources{Namespaces: c.Namespaces}
	for _, p := range c.Pods {
		var containers []*probe.Container
		for _, port := range p.Ports {
			name := fmt.Sprintf("%s-%d", port.Protocol, port.Port)
			containers = append(containers, &probe.Container{Name: name, Port: port.Port, Protocol: port.Protocol, PortName: port.Name})
		}
		resources.Pods = append(resources.Pods, probe.NewPod(p.Namespace, p.Name, p.Labels, p.IPs[family], containers))
	}
	return resources
}

// Some cases leave out what kind of object it is.
func typed(policy *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	named := policy.DeepCopy()
	named.SetGroupVersionKind(networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"))
	return named
}

// What the API server fills in; Cyclonus panics without it.
func defaulted(policy *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	if len(policy.Spec.PolicyTypes) > 0 {
		return policy
	}
	filled := policy.DeepCopy()
	filled.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	if len(policy.Spec.Egress) > 0 {
		filled.Spec.PolicyTypes = append(filled.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	}
	return filled
}
