package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"photovault/vault/blobs"
)

// inspect looks at the bucket and names all that is wrong with it.
func (s *Store) inspect(ctx context.Context) error {
	limited, cancel := s.budgeted(ctx, 0)
	defer cancel()
	// Without these nothing more can be found out.
	if f, err := s.inspectRegion(limited); err != nil || len(f) > 0 {
		return found(f, s.unavailable(ctx, "open", err))
	}
	var all Faults
	for _, look := range []func(context.Context) (Faults, error){
		s.inspectVersioning, s.inspectLock, s.inspectPolicy, s.inspectListing, s.probe,
	} {
		f, err := look(limited)
		if err != nil {
			return found(all, s.unavailable(ctx, "open", err))
		}
		all = append(all, f...)
	}
	return all.err()
}

// found prefers what is wrong for good over what may pass.
func found(f Faults, err error) error {
	if len(f) > 0 {
		return f
	}
	return err
}

// refused turns an answer that trying again does not change into a fault; a
// transient error stays one.
func refused(what string, err error) (Faults, error) {
	if transient(err) || errors.Is(err, blobs.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	return Faults{what + ": " + describe(err)}, nil
}

// inspectRegion asks where the bucket lies (GetBucketLocation), signed for
// the pinned region, and for its head, which AWS answers with the region.
func (s *Store) inspectRegion(ctx context.Context) (Faults, error) {
	var location struct {
		Region string `xml:",chardata"`
	}
	header, err := s.ask(ctx, url.Values{"location": {""}}, &location)
	switch code(err) {
	case "":
	case "AuthorizationHeaderMalformed", "InvalidRegion", "PermanentRedirect", "IllegalLocationConstraintException", "TemporaryRedirect", "Redirect":
		return Faults{s.elsewhere("another region")}, nil
	case "SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidToken", "InvalidTokenId", "ExpiredToken", "XAdminUserNotFound":
		return Faults{"the credentials are refused; give those of the account that deploy/policies/s3 describes"}, nil
	case "NoSuchBucket":
		return Faults{fmt.Sprintf("there is no bucket %s; make it in %s as deploy/policies/s3/README.md says", s.o.Bucket, s.o.Region)}, nil
	default:
		return refused("where the bucket lies cannot be asked (allow s3:GetBucketLocation)", err)
	}
	if err != nil {
		return refused("the server cannot be asked where the bucket lies", err)
	}
	// An empty answer is us-east-1 and EU is eu-west-1 (GetBucketLocation, S3 API reference).
	switch location.Region {
	case "":
		location.Region = "us-east-1"
	case "EU":
		location.Region = "eu-west-1"
	}
	for _, region := range []string{location.Region, header.Get("x-amz-bucket-region")} {
		if region != "" && region != s.o.Region {
			if !regionName.MatchString(region) {
				region = "another region"
			}
			return Faults{s.elsewhere(region)}, nil
		}
	}
	return nil, nil
}

func (s *Store) elsewhere(region string) string {
	return fmt.Sprintf("the bucket lies in %s, not in %s, where photos must stay; name a bucket there, or pin its region if photos may be kept in it",
		region, s.o.Region)
}

// inspectVersioning: every state will do, but Delete must be able to see all
// versions; and MFA delete would keep it from removing them.
func (s *Store) inspectVersioning(ctx context.Context) (Faults, error) {
	var state struct {
		MFADelete string `xml:"MfaDelete"`
	}
	_, err := s.ask(ctx, url.Values{"versioning": {""}}, &state)
	if err != nil && code(err) != "NotImplemented" {
		return refused("whether the bucket is versioned cannot be asked (allow s3:GetBucketVersioning)", err)
	}
	if state.MFADelete == "Enabled" {
		return Faults{"MFA delete is on, so that no version can be removed; turn it off"}, nil
	}
	return nil, nil
}

// inspectLock compares Object Lock with the options. A default retention
// would hold staged uploads, which must go once the photo is stored.
func (s *Store) inspectLock(ctx context.Context) (Faults, error) {
	var enabled, defaults bool
	err := try(ctx, func() error {
		state, mode, _, _, err := s.core.GetObjectLockConfig(ctx, s.o.Bucket)
		enabled, defaults = state == "Enabled", mode != nil && *mode != ""
		return err
	})
	switch code(err) {
	case "ObjectLockConfigurationNotFoundError", "NotImplemented", "NoSuchObjectLockConfiguration":
		err = nil
	}
	if err != nil {
		return refused("the bucket's Object Lock cannot be asked (allow s3:GetBucketObjectLockConfiguration)", err)
	}
	var f Faults
	if s.o.RetentionDays > 0 && !enabled {
		f = append(f, fmt.Sprintf("photos shall be retained for %d days, but the bucket has no Object Lock; make a bucket with it, or set no retention", s.o.RetentionDays))
	}
	if defaults {
		f = append(f, "the bucket has a default retention, which would keep staged uploads too; remove it: photos get theirs one by one")
	}
	return f, nil
}

// inspectPolicy asks whether the bucket's policy makes it public, where the
// server can tell.
func (s *Store) inspectPolicy(ctx context.Context) (Faults, error) {
	var status struct {
		IsPublic string
	}
	_, err := s.ask(ctx, url.Values{"policyStatus": {""}}, &status)
	switch code(err) {
	case "NoSuchBucketPolicy", "NotImplemented", "MethodNotAllowed":
		return nil, nil
	}
	if err != nil {
		return refused("whether the bucket is public cannot be asked (allow s3:GetBucketPolicyStatus)", err)
	}
	if status.IsPublic == "true" || status.IsPublic == "TRUE" {
		return Faults{public}, nil
	}
	return nil, nil
}

const public = "the bucket is public; take anonymous access out of its policy and access list, and block public access"

// inspectListing lists the bucket without a signature, which must be refused.
func (s *Store) inspectListing(ctx context.Context) (Faults, error) {
	return s.anonymous(ctx, "", url.Values{"list-type": {"2"}, "max-keys": {"1"}})
}

// anonymous asks without a signature. Anything but a refusal is a fault, a
// redirect too.
func (s *Store) anonymous(ctx context.Context, key string, query url.Values) (Faults, error) {
	var answer int
	err := try(ctx, func() error {
		resp, err := s.send(ctx, key, query, false)
		if err != nil {
			return err
		}
		answer = resp.StatusCode
		if answer >= http.StatusInternalServerError {
			return s.refusal(resp)
		}
		return resp.Body.Close()
	})
	if err != nil {
		return nil, err
	}
	if answer < http.StatusBadRequest {
		return Faults{public}, nil
	}
	return nil, nil
}

// distinct leaves out what was said before.
func distinct(f Faults) Faults {
	var out Faults
	for _, x := range f {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}
