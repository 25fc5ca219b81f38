import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;

/** Runs a prepared statement eight times by pgJDBC, which names it at the fifth and then asks for binary results. */
public class Repeated {
    public static void main(String[] args) throws Exception {
        try (Connection conn = DriverManager.getConnection(args[0]);
             PreparedStatement statement = conn.prepareStatement("SELECT name, plain FROM items WHERE id = ?")) {
            for (int i = 0; i < 7; i++) {
                statement.setInt(1, 1);
                print(statement);
            }
            conn.setAutoCommit(false); // a fetch size counts in a transaction only: rows come by a portal
            statement.setFetchSize(1);
            print(statement);
            conn.commit();
        }
    }

    private static void print(PreparedStatement statement) throws Exception {
        try (ResultSet rows = statement.executeQuery()) {
            rows.next();
            System.out.println(rows.getString(1) + " " + rows.getInt(2));
        }
    }
}
