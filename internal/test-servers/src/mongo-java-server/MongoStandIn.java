import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.net.InetSocketAddress;
import java.util.List;

/** MongoDB in memory, on 127.0.0.1 and the port given: atomic, neither durable nor with a TTL monitor. */
final class MongoStandIn {
    /** The drivers refuse the versions that the library itself knows. */
    private static final MongoVersion VERSION = new MongoVersion() {
        @Override
        public List<Integer> getVersionArray() {
            return List.of(6, 0, 0);
        }

        @Override
        public int getWireVersion() {
            return 17;
        }
    };

    public static void main(String[] args) {
        InetSocketAddress address = new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0]));
        // One thread for all connections. The library encodes replies from its live documents without a lock and replaces
        // them field by field, so with two threads a reader may get old data under a new version.
        new MongoServer(new MemoryBackend().version(VERSION)).bind(address, 1, 1);
    }
}
